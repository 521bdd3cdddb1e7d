"""Labels in the store: an object for each call and day of answers, added up into one for each model and day.

Raw objects are listed first, then the day is read: one that was merged and deleted in between is in the day, and one
that is in both counts once, as it would anyway.
"""

from __future__ import annotations

import logging

from msgspec import Struct

from shared import feedback_keys as keys
from shared.clock import new_id
from shared.counts import forms
from shared.counts.merge import GONE
from shared.feedback.labels import LABELS, Given, Labels, by_day, join
from shared.formats import UNREADABLE
from shared.storage.base import (
    AlreadyExists,
    ObjectNotFound,
    PreconditionFailed,
    Purged,
    Store,
    Unavailable,
    delete_many,
    get_many,
    list_all,
)

logger = logging.getLogger(__name__)

ATTEMPTS = 5  # against other mergers
BATCH = 500  # raw objects that are added with one write of a day


class Read(Struct):
    """left_out: objects that cannot be read."""

    labels: Labels
    left_out: int = 0


class Merged(Struct):
    """What a run did: raw objects added, and those that cannot be read."""

    added: int = 0
    left_out: int = 0


def keep(store: Store, model: str, given: list[Given]) -> None:
    """Raises BadInput, Unavailable: what was stored counts, and is the same if it is stored again."""
    for day, labels in sorted(by_day(given).items()):
        store.put(keys.raw(model, day, new_id()), forms.pack(labels), if_absent=True, content_type=forms.GZIP)


def read(store: Store, model: str, first: int, last: int) -> Read:
    """Labels of a model's answers of some days, the last one included. Raises Unavailable."""
    for _ in range(ATTEMPTS):
        result = _read(store, model, first, last)
        if result is not None:
            return result
    raise Unavailable("the labels were merged each time that they were read; try again")


def _read(store: Store, model: str, first: int, last: int) -> Read | None:
    """None where a raw object is gone: it is in a day that was not there, or not so, when this began."""
    raws = [key for key in _raws(store, model) if first <= _named(key)[1] <= last]
    listed = list_all(store, keys.of_model(keys.DAYS, model))
    days = [info.key for info in listed if keys.of_day(model, first) <= info.key <= keys.of_day(model, last)]
    names = [*days, *raws]
    bodies = _bodies(store, names)
    if GONE in bodies:
        return None
    tables = _tables(names, bodies)
    return Read(join(Labels(), *tables.values()), len(names) - len(tables))


def merge(store: Store) -> Merged:
    """Add all raw objects to their days. Raises Unavailable: what is left is added by the next run."""
    by_place: dict[tuple[str, int], list[str]] = {}
    for key in _raws(store, None):
        by_place.setdefault(_named(key), []).append(key)
    done = Merged()
    for (model, day), raws in sorted(by_place.items()):
        for start in range(0, len(raws), BATCH):
            _merge_into(store, keys.of_day(model, day), raws[start : start + BATCH], done)
    return done


def purge(store: Store, model: str) -> Purged:
    """Delete all labels of a model, with all their versions."""
    return store.purge(keys.of_model(keys.RAW, model)) + store.purge(keys.of_model(keys.DAYS, model))


def _merge_into(store: Store, place: str, raws: list[str], done: Merged) -> None:
    for _ in range(ATTEMPTS):
        etag: str | None = None
        total = Labels()
        try:
            stored = store.get(place)
            total, etag = forms.unpack(LABELS, stored.body, place), stored.etag
        except ObjectNotFound:
            pass
        except UNREADABLE as error:
            logger.error("labels damaged", extra={"key": place, "why": str(error)})
            done.left_out += len(raws)
            return
        present = {key: body for key, body in zip(raws, _bodies(store, raws), strict=True) if body != GONE}
        tables = _tables([*present], [*present.values()])
        added = len(raws) - len(present) + len(tables)
        try:
            body = forms.pack(join(total, *tables.values()))
            store.put(place, body, if_absent=etag is None, if_match=etag, content_type=forms.GZIP)
        except (AlreadyExists, PreconditionFailed):
            continue
        done.added += added
        done.left_out += len(raws) - added
        delete_many(store, [*tables])
        return
    logger.warning("labels not merged", extra={"key": place, "why": "other mergers were faster each time"})


def _bodies(store: Store, names: list[str]) -> list[bytes]:
    """GONE for what is not there."""
    return [stored.body for stored in get_many(store, names, missing=GONE)]


def _tables(names: list[str], bodies: list[bytes]) -> dict[str, Labels]:
    """Those that can be read, by key."""
    tables = {}
    for key, body in zip(names, bodies, strict=True):
        try:
            tables[key] = forms.unpack(LABELS, body, key)
        except UNREADABLE as error:
            logger.error("labels damaged", extra={"key": key, "why": str(error)})
    return tables


def _raws(store: Store, model: str | None) -> list[str]:
    prefix = keys.RAW if model is None else keys.of_model(keys.RAW, model)
    return [info.key for info in list_all(store, prefix) if keys.parse_raw(info.key) is not None]


def _named(key: str) -> tuple[str, int]:
    named = keys.parse_raw(key)
    assert named is not None, "as they were listed"
    return named
