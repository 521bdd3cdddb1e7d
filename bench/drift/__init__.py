"""How often drift is seen where there is none, and how soon where there is some: writes results/drift.md.

    python -m bench.drift [--quick] [--write]

In the environment `training`. Streams of items, judged by shared/drift/verdict.py itself, at the times and in the
windows of the watch function. Figures are counts, so a busy machine does not change them.
"""
