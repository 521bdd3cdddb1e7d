"""Tokens."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from amaas.cli.display.tables import row, table
from amaas.cli.display.text import clean, when


def tokens(out: Console, tokens: list[dict[str, Any]]) -> None:
    rows = table("id", "name", "scopes", "created", "state")
    for token in tokens:
        state = Text("revoked", "red") if token.get("revoked") else Text("active", "green")
        row(rows, token["id"], token["name"], " ".join(token["scopes"]), when(token.get("created_at")), state)
    out.print(rows)


def created(out: Console, token: dict[str, Any]) -> None:
    """Alone on its line, so that $(amaas token create …) holds just the token."""
    out.print(clean(token["token"]), soft_wrap=True)
