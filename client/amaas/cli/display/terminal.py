"""The console that all tables, bars and curves are printed to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.segment import Segment

from amaas.cli.display.text import clean


class Terminal(Console):
    """Prints no control characters but its own: some of the text was sent by the service, or named by a stranger."""

    def render(self, *args: Any, **kwargs: Any) -> Iterable[Segment]:
        for text, style, control in super().render(*args, **kwargs):
            yield Segment(text if control else clean(text), style, control)
