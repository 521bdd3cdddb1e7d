"""The embedded cloud on this machine, and the product deployed to it: the recipes behind `make run`.

Nothing here is deployed, and nothing that is deployed imports it. Only the standard library and the tool
environments in `.local/envs` are used.
"""
