"""The command `amaas`, whole: each module imported here adds its verbs to `main`."""

from __future__ import annotations

from amaas.cli import aliases, batch, history, models, optimize, predict, tokens, training, uploads
from amaas.cli.base import main

__all__ = ["aliases", "batch", "history", "main", "models", "optimize", "predict", "tokens", "training", "uploads"]
