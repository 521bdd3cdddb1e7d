"""Reading again what nobody reads: every record of every model, and every blob, in rotation, over many runs.

A run reads for as long as it is given, and leaves its position in the bucket for the next. A round goes through all
models (verify.py; and each one must still have the newest record that the last round saw), then through all blobs,
whose bytes must have the digest that is their name. What was seen is written where only the scrubber may write
(witness.py).
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import msgspec
from msgspec import Struct

from shared import keys
from shared.clock import now
from shared.errors import NotFound, Unavailable
from shared.groups import in_groups
from shared.registry import catalog, verify, witness
from shared.registry.log import Log
from shared.registry.witness import ScrubState, Seen
from shared.storage.base import AlreadyExists, ObjectInfo, ObjectNotFound, PreconditionFailed, Store, list_all
from shared.storage.base import Unavailable as StoreAway

logger = logging.getLogger(__name__)

PARALLEL = 8  # blobs at once
CHUNK = 8 * 1024 * 1024  # bytes of a blob in memory, each


class Damage(Struct, frozen=True):
    """what: a sentence. model, revision: of a record; digest: of a blob."""

    what: str
    model: str | None = None
    revision: int | None = None
    digest: str | None = None


class Report(Struct):
    """Of one run. records, blobs: how many were read. complete: the round ended.

    read_since: seconds since the epoch; all that was there then has been read since, or will be in the present round
    where none was completed before.
    """

    records: int = 0
    blobs: int = 0
    bytes: int = 0
    damages: list[Damage] = []
    read_since: float = 0.0
    complete: bool = False


def scrub(log: Log, seconds: float, clock: Callable[[], float] = time.time) -> Report:
    """Go on with the present round for at most `seconds`, and not beyond its end.

    Raises Unavailable if the store cannot be reached; Conflict if another run is going on.
    """
    end = clock() + seconds
    state, etag = witness.read_state(log.store)
    if not state.round_began:
        state = msgspec.structs.replace(state, round_began=clock())
    report = Report()
    try:
        if not state.models_done:
            _scrub_models(log, state, report, lambda: clock() < end)
        if state.models_done:
            _scrub_blobs(log.store, state, report, lambda: clock() < end)
    finally:  # what was seen until the store went away was seen
        _save(log.store, state, etag)
    report.read_since = state.rounded or state.round_began
    return report


def _scrub_models(log: Log, state: ScrubState, report: Report, in_time: Callable[[], bool]) -> None:
    in_catalog = witness.in_catalog(log.store)
    names = sorted({*catalog.list_names(log.store), *state.seen, *in_catalog})
    for name in names:
        if state.model is not None and name <= state.model:
            continue
        if not in_time():
            return
        _scrub_model(log, name, state, report, in_catalog.get(name, 0))
        state.model = name
    state.models_done, state.model = True, None


def _scrub_model(log: Log, name: str, state: ScrubState, report: Report, in_catalog: int) -> None:
    until, newest = None, None
    seen = state.seen.get(name)
    expected = max(in_catalog, seen.revision if seen else 0)
    while True:
        try:
            part = verify.verify(log, name, until=until, seen=expected)
        except StoreAway:
            raise
        except (NotFound, Unavailable) as error:  # a name without a log, as after uploads that were rejected
            if expected:
                _damaged(report, state, Damage(f"its log cannot be read: {error}", name))
            return
        report.records += part.revision - part.since
        newest = newest or part
        for problem in part.problems:
            _damaged(report, state, Damage(problem.what, name, problem.revision))
        until = part.before
        if until is None:
            break
    if seen is not None and not _still_has(log, name, seen):
        _damaged(report, state, Damage("the record is not the one that was seen before", name, seen.revision))
    if seen is None or newest.revision > seen.revision:
        state.seen[name] = Seen(newest.revision, newest.digest, now())


def _still_has(log: Log, model: str, seen: Seen) -> bool:
    """Whether the record that was the newest one is unchanged: without a key, a log can be written anew as a whole."""
    try:
        body = log.store.get(keys.log_record(model, seen.revision)).body
    except ObjectNotFound:
        return True  # a missing record is reported by verify
    return hashlib.sha256(body).hexdigest() == seen.digest


def _scrub_blobs(store: Store, state: ScrubState, report: Report, in_time: Callable[[], bool]) -> None:
    infos = list_all(store, keys.BLOBS, after=keys.blob(state.blob) if state.blob else "")
    with ThreadPoolExecutor(PARALLEL) as pool:
        for group in in_groups(infos, PARALLEL):
            if not in_time():
                return
            for damage in pool.map(lambda info: _check_blob(store, info), group):
                if damage is not None:
                    _damaged(report, state, damage)
            report.blobs += len(group)
            report.bytes += sum(info.size for info in group)
            state.blob = group[-1].key.removeprefix(keys.BLOBS)
    state.rounded, state.round_began = state.round_began, 0.0
    state.models_done, state.blob, state.problems = False, None, 0
    report.complete = True


def _check_blob(store: Store, info: ObjectInfo) -> Damage | None:
    name = info.key.removeprefix(keys.BLOBS)
    digest = hashlib.sha256()
    try:
        for start in range(0, info.size, CHUNK):
            digest.update(store.get(info.key, start=start, length=CHUNK).body)
    except ObjectNotFound:  # collected since the listing
        return None
    if digest.hexdigest() == name:
        return None
    return Damage("the blob's bytes have another digest: restore an earlier version of the object", digest=name)


def _damaged(report: Report, state: ScrubState, damage: Damage) -> None:
    state.problems += 1
    report.damages.append(damage)
    logger.error(
        "damaged",
        extra={"model": damage.model, "revision": damage.revision, "digest": damage.digest, "why": damage.what},
    )


def _save(store: Store, state: ScrubState, etag: str | None) -> None:
    """Raises Conflict if another run has written meanwhile."""
    body = msgspec.json.encode(state)
    try:
        store.put(keys.SCRUB, body, if_absent=etag is None, if_match=etag, content_type="application/json")
    except (AlreadyExists, PreconditionFailed) as error:
        raise type(error)("another run of the scrubber was going on at the same time: its position counts") from error
