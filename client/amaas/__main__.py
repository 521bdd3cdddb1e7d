"""`python -m amaas`."""

from amaas.cli import main

main(prog_name="amaas")
