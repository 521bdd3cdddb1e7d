"""Tools of the Makefile and the build: the Python to use, locks, artifacts, other processors. None is deployed."""
