"""A look at all models by schedule: the last hour and the last day, and once a day the last week.

Nothing is stored between looks: a look that is missed is one that says nothing, and the windows of the next ones have
what it would have seen.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import NamedTuple

from shared import deadline
from shared.counts import read
from shared.counts.counts import Counts, Table
from shared.counts.read import Wanted
from shared.counts.times import DAY, HOUR, to_text
from shared.drift import answer
from shared.drift.verdict import Verdict
from shared.errors import NotFound
from shared.registry.log import Log

logger = logging.getLogger(__name__)

WEEK_AT = 4  # the hour of the day, UTC, at which the week is looked at
LEAST_SECONDS = 5.0  # that are left: with less, no further version is begun


class Seen(NamedTuple):
    """A version in a window. verdict: None where it could not be judged."""

    model: str
    version: int
    window: str
    since: str
    verdict: Verdict | None


def windows(now: int) -> dict[str, tuple[int, int]]:
    """First and last minute of what is to be looked at. now: minutes since the epoch."""
    last = now - now % HOUR
    spans = {"hour": (last - HOUR, last), "day": (last - DAY, last)}
    if last % DAY == WEEK_AT * HOUR:
        spans["week"] = (last - 7 * DAY, last)
    return spans


def look(log: Log, now: int) -> list[Seen]:
    """What was seen of all versions that were called. Raises Unavailable, where counts cannot be read."""
    spans = windows(now)
    first, last = min(first for first, _ in spans.values()), max(last for _, last in spans.values())
    table = read.read(log.store, Wanted(model="", first=first, last=last, step=HOUR)).table
    seen: list[Seen] = []
    for window, (since, until) in spans.items():
        for model, number, counts in _called(table, since, until):
            left = deadline.remaining()
            if left is not None and left < LEAST_SECONDS:
                logger.warning("drift not looked at", extra={"model": model, "version": number, "window": window})
                return seen
            one = _judged(log, model, number, counts, since, window)
            if one is not None:
                seen.append(one)
    return seen


def _called(table: Table, since: int, until: int) -> Iterator[tuple[str, int, Counts]]:
    sums: dict[tuple[str, int], Counts] = {}
    for (key, at), counts in table.items():
        if since <= at < until:
            sums.setdefault((key.model, key.version), Counts()).add(counts)
    for (model, number), counts in sorted(sums.items(), key=lambda entry: entry[0]):
        yield model, number, counts


def _judged(log: Log, model: str, number: int, counts: Counts, since: int, window: str) -> Seen | None:
    """None for a version that is gone. What goes wrong is logged: a damaged model must not hide another's drift."""
    try:
        head = log.read(model)
        if not head.alive or not head.has_version(number):
            return None
        verdict = answer.judged(log, head, number, counts, since)
    except NotFound:  # deleted since
        return None
    except Exception:
        logger.exception("drift not judged", extra={"model": model, "version": number})
        return Seen(model, number, window, to_text(since), None)
    return Seen(model, number, window, to_text(since), verdict)
