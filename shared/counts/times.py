"""Minutes, hours and days as counts name them: minutes since the epoch, and UTC texts that sort by time."""

from __future__ import annotations

import calendar
import time

HOUR, DAY = 60, 24 * 60  # minutes


def hour_of(minute: int) -> str:
    """As in 20260131T17."""
    return time.strftime("%Y%m%dT%H", time.gmtime(minute * 60))


def day_of(minute: int) -> str:
    """As in 20260131."""
    return time.strftime("%Y%m%d", time.gmtime(minute * 60))


def minute_of(hour: str) -> int:
    """The first minute of an hour, or of a day. Raises ValueError."""
    return calendar.timegm(time.strptime(hour, "%Y%m%dT%H" if "T" in hour else "%Y%m%d")) // 60


def to_text(minute: int) -> str:
    """As in 2026-01-31T17:05:00Z."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(minute * 60))
