"""Calls of the HTTP API, one module per resource. Nothing here prints or reads the command line."""
