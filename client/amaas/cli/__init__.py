"""The `amaas` command: one module per group of verbs."""
