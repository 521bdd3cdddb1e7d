"""Commands for whoever operates a deployment: run against its bucket and functions, never deployed."""
