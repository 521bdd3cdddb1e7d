"""Ids that start with the time, so that a listing of keys is in order, and otherwise cannot be guessed."""

from __future__ import annotations

import secrets
import time


def new_id(seconds: float | None = None, mark: str | None = None) -> str:
    """As 019c4f2a3b0-1f0e9d8c7b6a5948.

    seconds: since the epoch; now, if not given. mark: its 16 hexadecimal characters; random, if not given.
    """
    milliseconds = int((time.time() if seconds is None else seconds) * 1000)
    return f"{milliseconds:011x}-{mark or secrets.token_hex(8)}"
