"""The time as stored, and ids that start with the time, so that listings of keys are in order of creation."""

from __future__ import annotations

import calendar
import os
import time


def now(ahead: float = 0) -> str:
    """UTC, to the millisecond, as in 2026-01-31T12:00:00.000Z. For readers only: revisions define the order, not times.

    ahead: seconds from now.
    """
    seconds = time.time() + ahead
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds * 1000) % 1000:03d}Z"


def as_minute(minute: int) -> str:
    """A minute since the epoch, UTC, as in 2026-01-31T12:00Z."""
    return time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime(60 * minute))


def minute_of(at: str) -> int:
    """The minute since the epoch of a time as `now` writes it."""
    return calendar.timegm(time.strptime(at[:16], "%Y-%m-%dT%H:%M")) // 60


def age(at: str) -> float:
    """Seconds since a time as `now` writes it, or AWS in events."""
    return time.time() - calendar.timegm(time.strptime(at[:19], "%Y-%m-%dT%H:%M:%S"))


def new_id(seconds: float | None = None, mark: str | None = None) -> str:
    """An id as 019c4f2a3b0-1f0e9d8c7b6a5948: milliseconds since the epoch, and 64 bits that cannot be guessed.

    seconds: since the epoch, by default now. mark: 16 hexadecimal characters instead of random ones.
    """
    milliseconds = int((time.time() if seconds is None else seconds) * 1000)
    return f"{milliseconds:011x}-{mark or os.urandom(8).hex()}"
