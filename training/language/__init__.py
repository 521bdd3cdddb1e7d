"""Language models with weights of fewer bits: `python -m training.language FOLDER --out FOLDER` (see __main__.py)."""
