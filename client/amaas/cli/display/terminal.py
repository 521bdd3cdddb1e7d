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
        if not self._whole_rows:
            objects = tuple(self._fitting(one) if isinstance(one, Table) else one for one in objects)
        width = self.width
        tables = [one for one in objects if self._whole_rows and isinstance(one, Table)]
        unbounded = self.options.update(max_width=WIDEST)
        self.width = max([width, *(Measurement.get(self, unbounded, one).maximum for one in tables)])
        try:
            super().print(*objects, **options)
        finally:
            self.width = width

    def _fitting(self, table: Table) -> Table:
        """The table in this width without a word cut in two; where there is no room for that, see `_stacked`."""
        if not table.columns or not table.show_header:
            return table
        unbounded = self.options.update(max_width=WIDEST)
        measured = [
            [Measurement.get(self, unbounded, cell) for cell in (column.header, *column.cells)]
            for column in table.columns
        ]
        least, most = ([max(getattr(one, side) for one in cells) for cells in measured] for side in Measurement._fields)
        room = self.width - sum(table.padding[1::2]) * (len(least) - 1)
        if sum(most) <= room:
            return table
        if sum(least) > room:
            return _stacked(table)
        for column, width in zip(table.columns, _shared(room, least, most), strict=True):
            column.width = width
        return table

    def render(self, *args: Any, **kwargs: Any) -> Iterable[Segment]:
        for text, style, control in super().render(*args, **kwargs):
            yield Segment(text if control else clean(text), style, control)

    def on_broken_pipe(self) -> None:
        """What reads the output has ended: it is told as of any output, and not by an exit from here."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def _shared(room: int, least: list[int], most: list[int]) -> list[int]:
    """Widths of columns from the least on, as long as there is room, in turns, for those that want more."""
    widths = list(least)
    while sum(widths) < room:
        wanting = [number for number, width in enumerate(widths) if width < most[number]]
        for number in wanting[: room - sum(widths)]:
            widths[number] += 1
    return widths


def _stacked(table: Table) -> Table:
    """A table's rows one below the other, a line for each cell that has something, behind its heading."""
    stacked = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    stacked.add_column(style=table.header_style, no_wrap=True)
    stacked.add_column(overflow="fold")
    headings = [column.header for column in table.columns]
    for number, cells in enumerate(zip(*(column.cells for column in table.columns), strict=True)):
        if number:
            stacked.add_row()
        for heading, cell in zip(headings, cells, strict=True):
            if str(cell):
                stacked.add_row(heading, cell)
    return stacked
