"""The routes of all functions, as their decorators say them."""

from __future__ import annotations

import importlib

from shared.entry.http import Route, Routes

# in the order of the description
FUNCTIONS = {
    "inference": "The data plane: the Open Inference Protocol V2, and predictions in a task's own terms",
    "generate": "Text generation, as OpenAI's and Triton's clients call it",
    "registry": "The control plane: models, versions, aliases, approvals, history",
    "figures": "What follows from counts: costs, and how a canary does",
    "feedback": "Labels for answers, given later",
    "upload": "The way in for packages",
    "batch": "Many inputs, or large ones",
    "training": "Jobs that train a model and push it",
    "tokens": "Who may call",
    "logs": "What functions have logged",
}


def handler(function: str) -> Routes:
    routes: Routes = importlib.import_module(f"functions.{function}.app").handler
    return routes


def routes() -> list[tuple[str, Route]]:
    """Every route of every function that has some, with the function's name."""
    return [(function, route) for function in FUNCTIONS for route in handler(function).routes]
