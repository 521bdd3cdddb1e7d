"""Data sets with a name of their own, which are fetched or made."""
