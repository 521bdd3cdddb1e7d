"""How often the watcher rolls a good canary back, and how soon a bad one: writes results/operate.md.

    python -m bench.release [--quick] [--write]

Simulated canaries, judged by shared/release/evidence.py itself, in blocks as a look each minute finds them; beside the
rules that are usual elsewhere. Figures are counts, so a busy machine does not change them. Takes about half an hour.
"""
