"""Until when the present call has to be answered, for whoever may take long: set by who was called, in its thread.

A function that is still at work when its time is over is ended as a whole, with all that it has loaded; what cannot
end in time is therefore ended before.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any

MARGIN = 1.0  # seconds before the function's own end, in which the answer is made and sent

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


def begin(context: Any) -> Token[float | None]:
    """Take over the time that Lambda's context says is left; with no context, there is no deadline. See `end`."""
    if context is None:
        return _deadline.set(None)
    return _deadline.set(time.monotonic() + context.get_remaining_time_in_millis() / 1000 - MARGIN)


def end(token: Token[float | None]) -> None:
    _deadline.reset(token)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """A deadline for what is done inside, no later than the one that holds already."""
    left = remaining()
    token = _deadline.set(time.monotonic() + (seconds if left is None else min(seconds, left)))
    try:
        yield
    finally:
        _deadline.reset(token)


def remaining() -> float | None:
    """Seconds, negative when the deadline has passed; None where there is none."""
    deadline = _deadline.get()
    return None if deadline is None else deadline - time.monotonic()
