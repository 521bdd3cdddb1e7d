"""What the Makefile and the build run: the Python to use, locks, artifacts, other processors. None is deployed."""
