"""Measurements, and their results in bench/results: README.md says which command makes which page.

Nothing that is deployed imports it. It may import everything, the tests' servers and models included; no private names.
"""
