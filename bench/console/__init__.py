"""The console on an embedded cloud of its own: what a visit takes, and the pictures in the README."""
