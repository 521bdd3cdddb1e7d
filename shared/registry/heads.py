"""The cached state of a model: read, and saved after a transition. A missing or older one costs time and no data."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from shared import keys
from shared.formats import TooNew
from shared.registry import signatures
from shared.registry.state import Head
from shared.storage.base import AlreadyExists, ObjectNotFound, PreconditionFailed, Store, Unavailable

# revisions between snapshots, so that a replay folds some hundreds of records at most
SNAPSHOT = 256


def read(store: Store, model: str, trusted: Sequence[bytes]) -> tuple[Head | None, str | None]:
    """The cached head, None if it is missing or invalid; and its ETag, None if it is missing. Raises TooNew."""
    try:
        stored = store.get(keys.head(model))
    except ObjectNotFound:
        return None, None
    return signatures.decode_head(stored.body, model, trusted), stored.etag


def save(store: Store, head: Head, record: bytes, etag: str | None, trusted: Sequence[bytes]) -> None:
    """Update the cached head. Best effort: readers roll any older head forward.

    record: the bytes of the newest record. etag: of the cached head that was read before.
    """
    body = signatures.encode_head(head, record)
    if head.revision % SNAPSHOT == 0:
        with suppress(AlreadyExists, Unavailable):
            store.put(keys.snapshot(head.model, head.revision), body, if_absent=True)
    for _ in range(2):
        try:
            name = keys.head(head.model)
            store.put(name, body, if_absent=etag is None, if_match=etag, content_type="application/json")
            return
        except (AlreadyExists, PreconditionFailed):
            try:
                cached, etag = read(store, head.model, trusted)
            except (TooNew, Unavailable):
                return
            if etag is None or (cached is not None and cached.revision >= head.revision):
                return
        except Unavailable:
            return
