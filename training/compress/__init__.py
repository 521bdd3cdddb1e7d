"""Optimization after training: a package in, a smaller or faster package with its lineage out. PyTorch is not needed.

package.py reads and writes, data.py finds what to calibrate and test with, steps.py and int8.py change the model,
measure.py measures, describe.py writes amaas.json, apply.py is one step from end to end, search.py tries them all.
"""
