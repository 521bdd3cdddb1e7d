"""The console that all tables, bars and curves are printed to."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table

from amaas.cli.display.text import clean

WIDEST = 100_000  # columns of a row that is not wrapped


class Terminal(Console):
    """Prints no control characters but its own: some of the text was sent by the service, or named by a stranger."""

    def __init__(self, *, whole_rows: bool = False, **options: Any) -> None:
        """whole_rows: a table is as wide as its cells are, however many columns there are."""
        super().__init__(**options)
        self._whole_rows = whole_rows

    def print(self, *objects: Any, **options: Any) -> None:
        width = self.width
        tables = [one for one in objects if self._whole_rows and isinstance(one, Table)]
        unbounded = self.options.update(max_width=WIDEST)
        self.width = max([width, *(Measurement.get(self, unbounded, one).maximum for one in tables)])
        try:
            super().print(*objects, **options)
        finally:
            self.width = width

    def render(self, *args: Any, **kwargs: Any) -> Iterable[Segment]:
        for text, style, control in super().render(*args, **kwargs):
            yield Segment(text if control else clean(text), style, control)

    def on_broken_pipe(self) -> None:
        """What reads the output has ended: it is told as of any output, and not by an exit from here."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
