"""Commands for operators of a deployment: they run against its bucket and functions, and are never deployed."""
