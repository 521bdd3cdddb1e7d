"""Models of other libraries become packages. In an environment of its own: make converter-tests."""
