"""The time as it is stored, and ids that start with it, so that a listing of keys is in order."""

from __future__ import annotations

import os
import time


def now(ahead: float = 0) -> str:
    """UTC, to the millisecond, as in 2026-01-31T12:00:00.000Z. For people; order comes from revisions alone.

    ahead: seconds from now.
    """
    seconds = time.time() + ahead
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds * 1000) % 1000:03d}Z"


def new_id(seconds: float | None = None, mark: str | None = None) -> str:
    """As 019c4f2a3b0-1f0e9d8c7b6a5948, which cannot be guessed.

    seconds: since the epoch; now, if not given. mark: its 16 hexadecimal characters; random, if not given.
    """
    milliseconds = int((time.time() if seconds is None else seconds) * 1000)
    return f"{milliseconds:011x}-{mark or os.urandom(8).hex()}"
