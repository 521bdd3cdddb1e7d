"""Raw objects are added into their hour, once each, and then deleted; hours into the models' days.

An hour names the raw objects that are in it, and is replaced only as the writer read it (If-Match). So two mergers at
once, a merger that is killed at any point, and a raw object that is written again after it was merged and deleted,
change no sum: what an hour names is deleted and not added.
"""

from __future__ import annotations

import logging
import time

from msgspec import Struct

from shared import keys
from shared.counts import forms
from shared.counts.counts import Row, Table, add_rows, to_rows
from shared.counts.forms import Day, Hour, Raw
from shared.counts.times import HOUR, day_of, hour_of
from shared.formats import UNREADABLE, Damaged, TooNew
from shared.storage.base import (
    AlreadyExists,
    ObjectNotFound,
    PreconditionFailed,
    Store,
    delete_many,
    get_many,
    list_all,
)

logger = logging.getLogger(__name__)

GONE = b"gone"  # stands for an object that is not there: no raw object begins like this
ATTEMPTS = 5  # against other mergers
BATCH = 500  # raw objects that are added with one write of an hour


class Merged(Struct):
    """What a run did: raw objects added; those that cannot be read, of which some are so for the first time."""

    added: int = 0
    left_out: int = 0
    found_damaged: int = 0


def merge(store: Store) -> Merged:
    """Add all raw objects that there are. Raises Unavailable: what is left is added by the next run."""
    by_hour: dict[str, list[str]] = {}
    for info in list_all(store, keys.STATS_RAW):
        named = keys.parse_stats_raw(info.key)
        if named is not None:
            by_hour.setdefault(named[0], []).append(info.key)
    done = Merged()
    for hour, raws in sorted(by_hour.items()):
        for start in range(0, len(raws), BATCH):
            _merge_into(store, hour, raws[start : start + BATCH], done)
    for day in sorted({hour[:8] for hour in by_hour}):
        make_days(store, day)
    return done


def _merge_into(store: Store, hour: str, raws: list[str], done: Merged) -> None:
    for _ in range(ATTEMPTS):
        try:
            total, etag = read_hour(store, hour)
        except UNREADABLE as error:
            logger.error("counts damaged", extra={"key": keys.stats_hour(hour), "why": str(error)})
            done.found_damaged += 1
            return
        missing = [key for key in raws if not is_merged(total, key)]
        bodies = dict(zip(missing, (one.body for one in get_many(store, missing, missing=GONE)), strict=True))
        if GONE in bodies.values():
            continue  # deleted since the list was made: by a merger whose hour is newer than the one read here
        added, damaged = _added(total, bodies)
        new = [key for key in damaged if key not in total.left_out]
        if added or new:
            total.left_out = sorted({*total.left_out, *new} - set(added))
            try:
                body = forms.pack(total)
                store.put(keys.stats_hour(hour), body, if_absent=etag is None, if_match=etag, content_type=forms.GZIP)
            except (AlreadyExists, PreconditionFailed):
                continue
        done.added += len(added)
        done.left_out += len(damaged)
        done.found_damaged += len(new)
        delete_many(store, [key for key in raws if key not in damaged])
        return
    logger.warning("counts not merged", extra={"hour": hour, "why": "other mergers were faster each time"})


def _added(total: Hour, bodies: dict[str, bytes]) -> tuple[list[str], list[str]]:
    """Add raw objects to an hour; the keys of those that were, and of those that cannot be read."""
    table: Table = {}
    add_rows(table, total.rows)
    added: list[str] = []
    damaged: list[str] = []
    for key, body in bodies.items():
        try:
            raw = read_raw(key, body)
        except UNREADABLE as error:
            logger.error("counts damaged", extra={"key": key, "why": str(error)})
            damaged.append(key)
            continue
        add_rows(table, raw.rows)
        total.dropped += raw.dropped
        named = keys.parse_stats_raw(key)
        assert named is not None, "as they were listed"
        forms.include(total.merged.setdefault(named[1], []), named[2])
        added.append(key)
    total.rows = to_rows(table)
    return added, damaged


def read_raw(key: str, body: bytes) -> Raw:
    """Raises TooNew; Damaged, also for what is not of the hour that its key says."""
    raw = forms.unpack(forms.RAW, body, key)
    named = keys.parse_stats_raw(key)
    if named is None or any(hour_of(row.at) != named[0] for row in raw.rows):
        raise Damaged(f"{key} is damaged: it has rows of other hours")
    return raw


def is_merged(total: Hour, key: str) -> bool:
    """Whether a raw object is in the sum of its hour."""
    named = keys.parse_stats_raw(key)
    return named is not None and forms.includes(total.merged.get(named[1], []), named[2])


def read_hour(store: Store, hour: str) -> tuple[Hour, str | None]:
    """The sum of an hour and its ETag; an empty one and None where there is none. Raises TooNew, Damaged."""
    try:
        stored = store.get(keys.stats_hour(hour))
    except ObjectNotFound:
        return Hour(), None
    return forms.unpack(forms.HOUR, stored.body, keys.stats_hour(hour)), stored.etag


def make_days(store: Store, day: str) -> None:
    """Make a day's objects of its hours, for each model that is in one: for a day that is over.

    What a day has of hours that are gone, as these are kept for a shorter time, stays.
    """
    listed = {info.key.removeprefix(keys.STATS_HOURS): info.etag for info in list_all(store, keys.stats_hour(day))}
    if day >= day_of(int(time.time() // 60)) or not listed:
        return
    try:
        hours = {hour: read_hour(store, hour)[0] for hour in listed}
    except UNREADABLE as error:
        logger.error("counts damaged", extra={"key": keys.stats_hour(day), "why": str(error)})
        return
    models = sorted({row.model for total in hours.values() for row in total.rows})
    for model in models:
        table: Table = {}
        for total in hours.values():
            add_rows(table, [row for row in total.rows if row.model == model], HOUR)
        sums = Day(
            rows=to_rows(table),
            hours=dict(listed),
            left_out={hour: len(total.left_out) for hour, total in hours.items() if total.left_out},
            dropped={hour: total.dropped for hour, total in hours.items() if total.dropped},
        )
        try:
            _keep_expired(sums, read_day(store, model, day))
        except TooNew:
            continue  # of a release that may know more of it
        except Damaged as error:
            logger.error("counts damaged", extra={"key": keys.stats_day(model, day), "why": str(error)})
        store.put(keys.stats_day(model, day), forms.pack(sums), content_type=forms.GZIP)


def _keep_expired(sums: Day, present: Day) -> None:
    gone = set(present.hours) - set(sums.hours)
    rows: list[Row] = [row for row in present.rows if hour_of(row.at) in gone]
    sums.rows = sorted([*sums.rows, *rows], key=lambda row: (row.key, row.at))
    for name in ("hours", "left_out", "dropped"):
        getattr(sums, name).update({hour: value for hour, value in getattr(present, name).items() if hour in gone})


def read_day(store: Store, model: str, day: str) -> Day:
    """An empty one where there is none. Raises TooNew, Damaged."""
    key = keys.stats_day(model, day)
    try:
        return forms.unpack(forms.DAY, store.get(key).body, key)
    except ObjectNotFound:
        return Day()
