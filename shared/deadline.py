"""Until when the present call has to be answered: set where it comes in, read by whatever waits for something.

A function that is ended in the middle of a call answers nobody, and what it held is lost. So whoever waits (the store's
clients, their retries) waits no longer than `remaining` says. It is kept in a context variable: a thread of a pool has
the deadline only if its work was passed through `carry`.
"""

from __future__ import annotations

import contextvars
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

# seconds before the end of the function at which waiting ends: enough to make the error's answer and to send it
MARGIN = 1.0

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

clock = time.monotonic
_end: contextvars.ContextVar[float | None] = contextvars.ContextVar("end", default=None)


def remaining() -> float | None:
    """Seconds that may still be waited, 0 when there are none; None where nothing ends."""
    end = _end.get()
    return None if end is None else max(end - clock(), 0.0)


@contextmanager
def within(seconds: float | None) -> Iterator[None]:
    """What is in the block may wait for `seconds`, and no longer than was allowed outside. None: as outside."""
    outer = _end.get()
    if seconds is None:
        yield
        return
    end = clock() + seconds
    token = _end.set(end if outer is None else min(end, outer))
    try:
        yield
    finally:
        _end.reset(token)


def of_function(context: Any) -> float | None:
    """Seconds that a Lambda function may still wait for, from its context; None for a caller without one."""
    left = getattr(context, "get_remaining_time_in_millis", None)
    return None if left is None else max(left() / 1000 - MARGIN, 0.0)


def carry(work: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """The same work with the present deadline, for another thread."""
    end = _end.get()
    if end is None:
        return work

    def carried(*args: Parameters.args, **options: Parameters.kwargs) -> Result:
        token = _end.set(end)
        try:
            return work(*args, **options)
        finally:
            _end.reset(token)

    return carried
