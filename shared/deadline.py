"""Until when the present call has to be answered, for whoever may take long: set by who was called, in its thread.

A function that is still at work when its time is over is ended as a whole, with all that it has loaded; what cannot
end in time is therefore ended before. A thread of a pool has the deadline only if its work was passed through `carry`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any, ParamSpec, TypeVar

MARGIN = 1.0  # seconds before the function's own end, in which the answer is made and sent

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

clock = time.monotonic
_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


def begin(context: Any) -> Token[float | None]:
    """Take over the time that Lambda's context says is left; with no context, there is no deadline. See `end`."""
    if context is None:
        return _deadline.set(None)
    return _deadline.set(clock() + context.get_remaining_time_in_millis() / 1000 - MARGIN)


def end(token: Token[float | None]) -> None:
    _deadline.reset(token)


@contextmanager
def within(seconds: float | None) -> Iterator[None]:
    """A deadline for what is done inside, no later than the one that holds already; None: that one alone."""
    present = _deadline.get()
    until = None if seconds is None else clock() + seconds
    token = _deadline.set(min((end for end in (present, until) if end is not None), default=None))
    try:
        yield
    finally:
        _deadline.reset(token)


def remaining() -> float | None:
    """Seconds, negative when the deadline has passed; None where there is none."""
    deadline = _deadline.get()
    return None if deadline is None else deadline - clock()


def carry(work: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """The same work with the present deadline, for another thread."""
    deadline = _deadline.get()
    if deadline is None:
        return work

    def carried(*args: Parameters.args, **options: Parameters.kwargs) -> Result:
        token = _deadline.set(deadline)
        try:
            return work(*args, **options)
        finally:
            _deadline.reset(token)

    return carried
