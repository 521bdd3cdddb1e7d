"""The console, lines and tables that all displays are made of."""

from __future__ import annotations

import os
import sys
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from amaas.cli.display.terminal import Terminal
from amaas.cli.display.text import clean

PIPED_WIDTH = 200  # columns without a terminal
UPLOAD_COLORS = {"registered": "green", "rejected": "red", "failed": "red", "expired": "red"}
JOB_COLORS = {"succeeded": "green", "done": "green", "failed": "red", "cancelled": "red"}


def console() -> Console:
    """Standard output. Names and labels come from others: no markup is read from them.

    Without a terminal no row is wrapped, whatever COLUMNS says: it may be piped into grep.
    """
    piped = not sys.stdout.isatty()
    width = PIPED_WIDTH if piped and "COLUMNS" not in os.environ else None
    return Terminal(markup=False, highlight=False, emoji=False, width=width, whole_rows=piped)


def line(out: Console, bold: Any, *rest: Any) -> None:
    out.print(Text.assemble((clean(bold), "bold"), *(f" {clean(part)}" for part in rest)), soft_wrap=True)


def table(*headings: str, right: tuple[str, ...] = (), header: bool = True) -> Table:
    """right: headings of the columns that are aligned to the right."""
    rows = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 3, 0, 0), show_header=header)
    for heading in headings:
        rows.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    return rows


def row(rows: Table, *cells: Any) -> None:
    rows.add_row(*(cell if isinstance(cell, Text) else clean("" if cell is None else cell) for cell in cells))


def state(name: str, colors: dict[str, str]) -> Text:
    return Text(clean(name), colors.get(name, "yellow"))
