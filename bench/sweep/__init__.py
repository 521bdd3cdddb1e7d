"""Which operators end or corrupt a process on hostile calls: `python -m bench.sweep`, results/sweep.md."""
