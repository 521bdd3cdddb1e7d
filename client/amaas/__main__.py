"""`python -m amaas`."""

from amaas.cli.app import main

main(prog_name="amaas")
