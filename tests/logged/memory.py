"""Logs in memory, which answer in pages as CloudWatch does."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from shared.logged.search import Event

PAGE = 3


class MemoryLogs:
    """asked: of each search, the function and the term."""

    def __init__(self) -> None:
        self.of: dict[str, list[Event]] = {}
        self.asked: list[tuple[str, str]] = []

    def write(self, function: str, milliseconds: int | None = None, **values: Any) -> None:
        """A line as the product writes it. milliseconds: since the epoch, by default now."""
        self.text(function, json.dumps({"level": "INFO", "message": "call"} | values), milliseconds)

    def text(self, function: str, text: str, milliseconds: int | None = None, stream: str = "") -> None:
        at = int(time.time() * 1000) if milliseconds is None else milliseconds
        events = self.of.setdefault(function, [])
        events.append(Event(f"{1000 - len(events):06d}", at, text, stream))  # ids are in no order

    def events(self, function: str, first: int, last: int, term: str) -> Iterator[list[Event]]:
        self.asked.append((function, term))
        found = [one for one in self.of.get(function, []) if first <= one.milliseconds <= last and term in one.text]
        found.sort(key=lambda one: one.milliseconds)
        yield []  # a page of CloudWatch may be empty, and not the last one
        yield from (found[at : at + PAGE] for at in range(0, len(found), PAGE))
