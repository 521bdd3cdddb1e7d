"""Data: read, clean, split.

catalog.py finds the reader of a data set, which returns a Source (source.py); dataset.py cleans and splits it.
"""
