"""The deployment side: build methods of `sam build`, the embedded cloud, and the recipes behind the Makefile.

Nothing here is deployed, and nothing that is deployed imports it. Only the standard library and the tool
environments in `.local/envs` are used.
"""
