"""`python -m amaas`."""

from amaas.cli.models import main

main(prog_name="amaas")
