"""The client of Lambda's Runtime API, in place of AWS's own for managed Python, which cannot stream.

AWS_LAMBDA_EXEC_WRAPPER has it started, by the script `start`; without that variable AWS's client runs the same
function, and its answers are whole. When AWS's can stream, this folder goes: decision 48. Nothing imports it.
"""
