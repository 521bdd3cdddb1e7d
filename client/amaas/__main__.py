"""`python -m amaas`."""

from amaas.start import main

main()
