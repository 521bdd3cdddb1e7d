"""The counts of a model in a span of time: of days, hours and raw objects that are not merged yet.

Raw objects are listed first, then hours are read: a raw object that was merged and deleted in between is in the hour,
and one that is gone when it is read makes all be read again. So each is counted once.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from msgspec import Struct, field

from shared import keys
from shared.counts import merge
from shared.counts.counts import Row, Table, add_rows
from shared.counts.forms import Day, Hour
from shared.counts.times import DAY, HOUR, day_of, hour_of, minute_of
from shared.formats import UNREADABLE
from shared.storage.base import Store, Unavailable, get_many, list_all

logger = logging.getLogger(__name__)

ATTEMPTS = 4
GONE = merge.GONE


class Wanted(Struct, frozen=True, kw_only=True):
    """Which rows: first, last: minutes, the last one excluded. step: minutes that a row is to stand for. model: empty
    for all of them.
    """

    model: str
    first: int
    last: int
    step: int = 1
    version: int | None = None
    alias: str | None = None

    def has(self, row: Row) -> bool:
        return (
            self.model in ("", row.model)
            and self.first <= row.at < self.last
            and self.version in (None, row.version)
            and self.alias in (None, row.alias)
        )


class Selection(Struct):
    """left_out: objects that cannot be read, so that what they have counted is missing; dropped: requests that were
    not counted. Both are of all models in the hours that were read.
    """

    table: Table = field(default_factory=dict)
    left_out: int = 0
    dropped: int = 0

    def add(self, rows: list[Row], wanted: Wanted) -> None:
        add_rows(self.table, [row for row in rows if wanted.has(row)], wanted.step)


class _Again(Exception):
    """A raw object was merged while it was read."""


def read(store: Store, wanted: Wanted) -> Selection:
    """Raises Unavailable."""
    for _ in range(ATTEMPTS):
        try:
            return _read(store, wanted)
        except _Again:
            continue
    raise Unavailable("the counts were merged each time that they were read; try again")


def _read(store: Store, wanted: Wanted) -> Selection:
    raws: dict[str, list[str]] = {}
    for hour, key in _raws(store, wanted):
        raws.setdefault(hour, []).append(key)
    etags = dict(_hours(store, wanted))
    selection = Selection()
    open_hours = {*etags, *raws}
    if wanted.step >= HOUR and wanted.model:
        for day in sorted({day_of(minute) for minute in range(wanted.first, wanted.last, HOUR)}):
            known = {hour: etag for hour, etag in etags.items() if hour.startswith(day)}
            if not any(hour.startswith(day) for hour in raws) and _add_day(store, day, known, wanted, selection):
                open_hours -= set(known)
    for hour in sorted(open_hours):
        _add_hour(store, hour, raws.get(hour, []), wanted, selection)
    return selection


def _raws(store: Store, wanted: Wanted) -> Iterator[tuple[str, str]]:
    """Hours and keys of the raw objects that may have wanted rows."""
    first, last = hour_of(wanted.first), hour_of(wanted.last - 1)
    for info in list_all(store, keys.STATS_RAW, after=f"{keys.STATS_RAW}{first}"):
        hour = info.key.removeprefix(keys.STATS_RAW)[: len(first)]
        if hour > last:
            return
        if keys.parse_stats_raw(info.key):
            yield hour, info.key


def _hours(store: Store, wanted: Wanted) -> Iterator[tuple[str, str]]:
    """Hours with their ETags; where days are read, all those of each day."""
    first, last = hour_of(wanted.first), hour_of(wanted.last - 1)
    if wanted.step >= HOUR and wanted.model:
        first, last = hour_of(wanted.first - wanted.first % DAY), f"{last[:8]}T23"
    before = keys.stats_hour(first)[:-2]  # "…T" sorts before all hours of the day
    for info in list_all(store, keys.STATS_HOURS, after=before):
        hour = info.key.removeprefix(keys.STATS_HOURS)
        if hour > last:
            return
        if hour >= first:
            yield hour, info.etag


def _add_day(store: Store, day: str, etags: dict[str, str], wanted: Wanted, selection: Selection) -> bool:
    """Add the rows of a day's object; False where it was not made of the hours as they are now."""
    try:
        cached: Day = merge.read_day(store, wanted.model, day)
    except UNREADABLE:  # a cache: the hours have the same, as long as there are all
        return False
    if not cached.hours or not etags.items() <= cached.hours.items():
        return False
    selection.add(cached.rows, wanted)
    for hour, number in cached.left_out.items():
        selection.left_out += number if _overlaps(hour, wanted) else 0
    for hour, number in cached.dropped.items():
        selection.dropped += number if _overlaps(hour, wanted) else 0
    return True


def _overlaps(hour: str, wanted: Wanted) -> bool:
    return wanted.first - HOUR < minute_of(hour) < wanted.last


def _add_hour(store: Store, hour: str, raws: list[str], wanted: Wanted, selection: Selection) -> None:
    if not _overlaps(hour, wanted):
        return
    try:
        total = merge.read_hour(store, hour)[0]
    except UNREADABLE as error:
        logger.error("counts damaged", extra={"key": keys.stats_hour(hour), "why": str(error)})
        selection.left_out += 1
        total = Hour()
    selection.add(total.rows, wanted)
    selection.dropped += total.dropped
    missing = [key for key in raws if not merge.is_merged(total, key)]
    unread = set(total.left_out)
    for key, one in zip(missing, get_many(store, missing, missing=GONE), strict=True):
        if one.body == GONE:
            raise _Again
        try:
            raw = merge.read_raw(key, one.body)
        except UNREADABLE:
            unread.add(key)
            continue
        unread.discard(key)
        selection.add(raw.rows, wanted)
        selection.dropped += raw.dropped
    selection.left_out += len(unread)
