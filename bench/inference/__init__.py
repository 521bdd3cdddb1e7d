"""The warm path of an inference call, measured: see bench.inference.__main__ for the command."""
