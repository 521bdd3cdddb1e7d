"""Lines of the service's log."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from amaas.cli.display.text import as_json, clean, when

Json = dict[str, Any]
COLORS = {"ERROR": "red", "WARNING": "yellow", "INFO": "green"}
INDENT = (0, 0, 0, 4)


def show(out: Console, line: Json) -> None:
    """A line, one row without a terminal; below it, where an exception was raised."""
    level = line["level"] or "-"
    head = Text.assemble(
        (when(line["at"]), "dim"), " ", (f"{clean(level):7}", COLORS.get(level, "")), f" {clean(line['function'])} "
    )
    head.append(clean(line["message"]), "bold")
    details = Text("  ".join(_fields(line)))
    if out.is_terminal:
        out.print(head)
        if details:
            out.print(Padding(details, INDENT))
    else:
        out.print(Text("  ").join([head, details]) if details else head, soft_wrap=True)
    for row in line.get("trace") or []:
        out.print(Padding(Text(clean(row)), INDENT) if out.is_terminal else Text(f"    {clean(row)}"), soft_wrap=True)


def _fields(line: Json) -> list[str]:
    named = {"request_id": line.get("request_id")} | line["fields"]
    fields = [f"{clean(name)}={_text(value)}" for name, value in named.items() if value is not None]
    return [*fields, clean(line["exception"])] if line.get("exception") else fields


def _text(value: Any) -> str:
    """Without quotes where nobody can take it for something else."""
    plain = isinstance(value, str) and value and value.isprintable() and " " not in value
    return clean(value) if plain else as_json(value)
