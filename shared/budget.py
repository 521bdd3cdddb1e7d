"""What one call may take of the process that answers it: bytes of memory, asked for before they are taken, and time.

A small body may stand for much: a picture of one color, a model's output of zeros, a threshold that lets every box
pass. So each step that allocates, or loops, in proportion to an input or to a model's output says first how much it
has at its peak; over the budget, it is refused before it begins. The time is that of deadline.py.

What is taken within a `part` is free again at its end. Outside of any, a step is held against the whole budget.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from shared import deadline
from shared.config import CALL_MEMORY
from shared.errors import OutOfTime, TooLarge

Item = TypeVar("Item")
STEPS = 256  # of a loop between two looks at the clock


class _Part:
    """taken: bytes that are in use, those of the parts around this one included."""

    __slots__ = ("outer", "taken")

    def __init__(self, outer: _Part | None) -> None:
        self.outer = outer
        self.taken: int = outer.taken if outer else 0


_limits = [CALL_MEMORY]
_part: ContextVar[_Part | None] = ContextVar("part", default=None)


def allow(size: int) -> None:
    """So many bytes for each call of this process, from now on."""
    _limits[0] = size


def limit() -> int:
    """Bytes that one call may have at a time."""
    return _limits[0]


@contextmanager
def part() -> Iterator[None]:
    """A call, or a part of it, whose memory is free at its end."""
    token = _part.set(_Part(_part.get()))
    try:
        yield
    finally:
        _part.reset(token)


def take(size: int, what: str) -> None:
    """Ask for bytes. what: takes them, as "the image". Raises TooLarge over the budget, OutOfTime past the deadline."""
    present = _part.get()
    taken = present.taken + size if present else size
    if taken > _limits[0]:
        raise TooLarge(
            f"{what} takes {size:,} bytes of memory, and one call may take {_limits[0]:,} in all: send fewer or "
            "smaller inputs at a time, ask for less, or use a batch job for many"
        )
    check_time(what)
    if present:
        present.taken = taken


def keep(size: int, what: str) -> None:
    """As `take`, for what is there until the end of the call, whatever part it was made in: its answer."""
    take(size, what)
    present = _part.get()
    while present and (present := present.outer):
        present.taken += size


def check_time(what: str) -> None:
    """Raises OutOfTime when the call's deadline has passed."""
    left = deadline.remaining()
    if left is not None and left <= 0:
        raise OutOfTime(f"the time of the call was over before {what} was done: send fewer or smaller inputs at a time")


def steps(items: Iterable[Item], what: str) -> Iterator[Item]:
    """The items, with a look at the clock now and then. Raises OutOfTime."""
    for number, item in enumerate(items):
        if number % STEPS == 0:
            check_time(what)
        yield item


def fitting(most: int, each: int) -> int:
    """How many rows of `each` bytes go at once: at most `most`, at least one, and no more than half of a budget has."""
    return max(1, min(most, _limits[0] // 2 // max(1, each)))
