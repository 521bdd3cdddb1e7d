"""The warm path of an inference call, measured, beside other servers: `python -m bench.inference`."""
