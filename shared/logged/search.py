"""Lines of several functions' logs, in the order of their time, a page at a time.

Each function has a log of its own, and each is searched by itself; what is found is merged. A page goes on behind a
line, not at a number: lines that come late to a log shift nothing.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Literal, NamedTuple, Protocol, get_args

from msgspec import Struct

from shared import deadline
from shared.errors import BadInput, OutOfTime
from shared.logged import lines
from shared.logged.lines import LogLine

# those that answer calls, and have a request's number in their lines
Answering = Literal[
    "inference",
    "generate",
    "registry",
    "figures",
    "feedback",
    "upload",
    "batch",
    "training",
    "tokens",
    "logs",
    "console",
]
Working = Literal[
    "authorize", "ingest", "batchplan", "batchwork", "trainingstate", "counts", "watch", "sweep", "scrub", "publickey"
]
Function = Answering | Working
ANSWERING, WORKING = get_args(Answering), get_args(Working)
AT_ONCE = 4  # more, and CloudWatch refuses them
ANSWER_TAKES = 1.0  # seconds
TRACEBACK_TAKES = 1000  # milliseconds between its first row and its last


class Event(NamedTuple):
    """milliseconds: since the epoch. stream: of the process that wrote it, one after the other."""

    id: str
    milliseconds: int
    text: str
    stream: str = ""


class Logs(Protocol):
    def events(self, function: str, first: int, last: int, term: str) -> Iterator[list[Event]]:
        """Pages of a function's events in the order of their time, of texts that have the term in them.

        Events of one time are in the same order each time, those of one stream as they were written.

        first, last: milliseconds since the epoch. An event at a page's end may come again at the next one's beginning.
        """


class Position(NamedTuple):
    """Of a line among those of all functions."""

    milliseconds: int
    function: str
    id: str

    def encode(self) -> str:
        return f"{self.milliseconds}.{self.function}.{self.id}"

    @classmethod
    def decode(cls, text: str) -> Position:
        """Raises BadInput."""
        match = re.fullmatch(r"(\d{1,15})\.([a-z]+)\.([\w./+=-]{1,200})", text, re.ASCII)
        if match is None:
            raise BadInput("`next` is none that this list has given: leave it out for the first page")
        return cls(int(match[1]), match[2], match[3])


class Search(Struct, frozen=True, kw_only=True):
    """What lines are looked for. first, last: milliseconds since the epoch; call: a request's number, or Lambda's."""

    first: int
    last: int
    functions: Sequence[str] = ()
    call: str | None = None
    model: str | None = None
    level: str | None = None
    after: Position | None = None

    def names(self) -> Sequence[str]:
        return self.functions or (ANSWERING if self.call else ANSWERING + WORKING)

    def start(self) -> int:
        """Whence to read for the lines behind `after`: what they are may depend on rows of a traceback before it."""
        return self.first if self.after is None else max(self.first, self.after.milliseconds - TRACEBACK_TAKES)


Placed = tuple[Position, LogLine]


def find(logs: Logs, search: Search, limit: int) -> tuple[list[LogLine], str | None]:
    """A page of lines, and where the next one begins. Raises OutOfTime, Unavailable."""
    work = deadline.carry(lambda function: _of_function(logs, search, function, limit + 1))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(work, search.names()))
    merged = list(heapq.merge(*found, key=_place))
    page = merged[:limit]
    return [line for _, line in page], page[-1][0].encode() if len(merged) > limit else None


def _of_function(logs: Logs, search: Search, function: str, most: int) -> list[Placed]:
    """The first lines of one function's log, in order."""
    if search.call is None:
        return _first(_lines(logs, search, function, search.model or "", search.start()), search, most)
    # of the call's lines only some have its number, and all that of the run: a second search, if the first finds one
    named = list(_lines(logs, search, function, search.call, search.first))
    calls = [one for one in named if search.call in (one[1].request_id, one[1].invocation)]
    runs = sorted({line.invocation for _, line in calls if line.invocation})
    of_runs = [one for run in runs for one in _lines(logs, search, function, run, search.first)]
    whole = dict([*(one for one in of_runs if one[1].invocation in runs), *calls])
    return _first(iter(sorted(whole.items(), key=_place)), search, most)


def _lines(logs: Logs, search: Search, function: str, term: str, first: int) -> Iterator[Placed]:
    seen, reader = set[str](), lines.Reader()
    for page in logs.events(function, first, search.last, term):
        remaining = deadline.remaining()
        if remaining is not None and remaining < ANSWER_TAKES:
            raise OutOfTime(
                f"the log of {function} is too long to be searched in one call: give a shorter time (since, until), "
                "or a function"
            )
        for event in page:
            if event.id in seen:
                continue
            seen.add(event.id)
            line = reader.read(event.id, event.milliseconds, function, event.text, event.stream)
            if line is not None:
                yield Position(event.milliseconds, function, event.id), line


def _first(found: Iterator[Placed], search: Search, most: int) -> list[Placed]:
    """Those that are wanted, up to `most`."""
    behind = _behind(found, search.after) if search.after else found
    wanted = (one for one in behind if one[1].concerns(search.model, search.level))
    return list(islice(wanted, most))


def _behind(found: Iterator[Placed], after: Position) -> Iterator[Placed]:
    """The lines that follow one, or its place where it is gone: of its own time and function, in the log's order."""
    same = list[Placed]()
    for placed in found:
        position = placed[0]
        if position[:2] > after[:2]:
            yield from same
            same.clear()
            yield placed
        elif position == after:
            same.clear()
        elif position[:2] == after[:2]:
            same.append(placed)
    yield from same


def _place(placed: Placed) -> tuple[int, str]:
    """Lines that have the same one are of one log, and keep its order: their ids have none."""
    return placed[0][:2]
