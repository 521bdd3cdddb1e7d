"""The command `amaas`: one module per group of verbs, assembled in app.py. What answers look like is in display/."""
