"""One append-only log per model: immutable, hash-chained records, each created if absent at the next revision.

A transition is one record, so it is atomic; whoever loses the race for a revision reads again and decides again.
`head.json` is a cache of the folded log: readers take it and roll forward over any newer records, so it may be old
or missing without harm. What the records mean is state.py; which transitions there are is registry.py.
"""

from __future__ import annotations

import hashlib
import random
import time
import uuid
from collections.abc import Callable

import msgspec

from shared.errors import Unavailable
from shared.registry import keys
from shared.registry.state import Head, Record, fold
from shared.storage.base import AlreadyExists, ObjectNotFound, PreconditionFailed, Store, list_all

ATTEMPTS = 12
# A head that lags by more than this is caught up with a listing rather than by asking for one record after another.
STEPS = 8


def read(store: Store, model: str) -> Head:
    """The present state of a model: 2 GETs when the head is fresh. An unknown model has revision 0."""
    return _read(store, model)[0]


def _read(store: Store, model: str) -> tuple[Head, str | None]:
    """The present state, and the ETag of the cached head it was rolled forward from."""
    head, etag = Head(model=model), None
    try:
        cached = store.get(keys.head(model))
        head, etag = msgspec.json.decode(cached.body, type=Head), cached.etag
    except (ObjectNotFound, msgspec.DecodeError):
        pass  # a lost or damaged cache costs a replay, not the data
    return _roll_forward(store, head), etag


def _roll_forward(store: Store, head: Head) -> Head:
    for _ in range(STEPS):
        try:
            body = store.get(keys.log_record(head.model, head.revision + 1)).body
        except ObjectNotFound:
            return head
        head = fold(head, decode(body), digest(body))
    for info in list_all(store, keys.log(head.model), after=keys.log_record(head.model, head.revision)):
        body = store.get(info.key).body
        head = fold(head, decode(body), digest(body))
    return head


def append(store: Store, model: str, decide: Callable[[Head], Record | None]) -> Head:
    """Commit the record that `decide` makes of the present state, and return the state after it.

    `decide` may run several times, once per lost race; it returns None when there is nothing left to do and raises
    an AmaasError to refuse. Raises Unavailable when the race is lost ATTEMPTS times.
    """
    for attempt in range(ATTEMPTS):
        head, etag = _read(store, model)
        record = decide(head)
        if record is None:
            return head
        record = msgspec.structs.replace(
            record, revision=head.revision + 1, previous=head.digest, at=now(), write_id=uuid.uuid4().hex
        )
        body = msgspec.json.encode(record)
        try:
            store.put(keys.log_record(model, record.revision), body, if_absent=True, content_type="application/json")
        except AlreadyExists:
            time.sleep(random.uniform(0, 0.02 * 2 ** min(attempt, 6)))
            continue
        head = fold(head, record, digest(body))
        _refresh(store, head, etag)
        return head
    raise Unavailable(f"model {model!r} is being changed by many writers at once; try again")


def _refresh(store: Store, head: Head, etag: str | None) -> None:
    """Best effort: whoever refreshed it in between knows at least as much."""
    body = msgspec.json.encode(head)
    try:
        store.put(keys.head(head.model), body, if_absent=etag is None, if_match=etag, content_type="application/json")
    except (AlreadyExists, PreconditionFailed, Unavailable):
        pass


def record(store: Store, model: str, revision: int) -> Record:
    return decode(store.get(keys.log_record(model, revision)).body)


def decode(body: bytes) -> Record:
    return msgspec.json.decode(body, type=Record)


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def now(ahead: float = 0) -> str:
    """UTC, to the millisecond, as in 2026-01-31T12:00:00.000Z. For people; order comes from revisions alone."""
    seconds = time.time() + ahead
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds * 1000) % 1000:03d}Z"
