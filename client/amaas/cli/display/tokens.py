"""Tokens."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.text import Text

from amaas.cli.display.tables import row, table
from amaas.cli.display.text import clean, when


def tokens(out: Console, tokens: list[dict[str, Any]]) -> None:
    rows = table("id", "name", "person", "scopes", "created", "by", "used", "expires", "state")
    for token in tokens:
        row(
            rows,
            token["id"],
            token["name"],
            token.get("person") or "-",
            ", ".join(token["scopes"]),
            when(token.get("created_at"))[:10],
            token.get("creator") or "-",
            token.get("last_used") or "-",
            _day(token.get("expires_at")),
            _state(token),
        )
    out.print(rows)
    for token in tokens:
        if token.get("problem") and not token.get("revoked"):
            out.print(clean(f"{token['id']}: {token['problem']}"), soft_wrap=True)


def profiles(out: Console, profiles: list[dict[str, Any]]) -> None:
    if not profiles:
        out.print("no profiles yet: `amaas login` makes one")
        return
    rows = table("profile", "url", "token", "")
    for profile in profiles:
        used = Text("used", "green") if profile["used"] else ""
        row(rows, Text(clean(profile["profile"]), "bold"), profile["url"], profile["token"] or "-", used)
    out.print(rows)


def _state(token: dict[str, Any]) -> Text:
    ends = token.get("revoked_at")
    if token.get("revoked"):
        return Text("revoked", "red")
    if token.get("problem"):
        return Text("unusable", "red")
    if (token.get("expires_at") or time.time()) < time.time():
        return Text("expired", "red")
    return Text(f"until {_day(ends)}", "yellow") if ends else Text("active", "green")


def _day(seconds: float | None) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(seconds)) if seconds else "never"


def own(out: Console, token: dict[str, Any]) -> None:
    rows = table("token", "name", "person", "scopes")
    row(rows, token["id"], token["name"] or "-", token["person"], ", ".join(token["scopes"]))
    out.print(rows)
    rows = table("limit", "at most")
    for name, most in token["limits"].items():
        row(rows, name, "-" if most is None else f"{most:,}")
    out.print(rows)


def created(out: Console, token: dict[str, Any]) -> None:
    """Alone on its line, so that $(amaas token create …) holds just the token."""
    out.print(clean(token["token"]), soft_wrap=True)
