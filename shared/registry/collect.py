"""Garbage collection: blobs that no version of any model names any more are removed after a time of grace.

The order makes it safe beside writers, who write blobs before the record that names them. Blobs are listed first, heads
are read then, and only what was old at the listing and is unnamed after it is looked at again. A writer who meets an
old blob writes it anew (blobs.py), which makes a new version of the object; only the version that was looked at is
removed. Nothing is ever removed because something failed: an unknown outcome may have named it.

A model whose state cannot be read, or was written by a later release, stops no collection: all that its records and
heads mention is kept. What they mention are the digests in their text, whatever members these stand in.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import datetime

from msgspec import Struct

from shared import formats, keys
from shared.errors import Unavailable
from shared.registry import blobs, catalogue
from shared.registry.log import BATCH, Log
from shared.registry.state import Head, Version
from shared.storage.base import ObjectInfo, ObjectNotFound, get_many, list_all

MOST_SEGMENT = 4 * 1024 * 1024  # bytes
DIGEST = re.compile(keys.DIGEST.encode())


class Report(Struct, frozen=True):
    """kept: blobs that are named or young. freed: bytes."""

    kept: int
    deleted: list[str]
    freed: int


def collect(log: Log, grace_seconds: float = blobs.GRACE, now: float | None = None) -> Report:
    """Remove unnamed blobs older than the grace. now: seconds since the epoch.

    Raises Unavailable, before anything is removed, when the store is out of reach.
    """
    time_is = time.time() if now is None else now
    old: dict[str, ObjectInfo] = {}
    kept = 0
    for info in list_all(log.store, keys.BLOBS):
        if time_is - info.modified > grace_seconds:
            old[info.key.removeprefix(keys.BLOBS)] = info
        else:
            kept += 1
    named, unread = _named(log, time_is - grace_seconds) if old else (set(), False)
    unnamed = sorted(old.keys() - named)
    if unread:  # a head is all that names a segment, and it may be what cannot be read
        unnamed = [digest for digest in unnamed if not _segment(log, digest)]
    deleted = [digest for digest in unnamed if _remove(log, digest, time_is - grace_seconds)]
    return Report(kept + len(old) - len(deleted), deleted, sum(old[digest].size for digest in deleted))


def _remove(log: Log, digest: str, before: float) -> bool:
    try:
        present = log.store.head(keys.blob(digest))
    except ObjectNotFound:
        return False
    # without a version to name, a blob that is written anew right now would go, too: such a bucket keeps everything
    if present.modified > before or present.version is None:
        return False
    log.store.delete(keys.blob(digest), version=present.version)
    return True


def _named(log: Log, before: float) -> tuple[set[str], bool]:
    """The blobs that any model names, and whether the state of one could not be read."""
    named: set[str] = set()
    unread = False
    for name in catalogue.names(log.store):
        try:
            head = log.read(name)
            named |= mentioned(log, name) if head.min_writer > formats.WRITER else _of(log, head, before)
        except Unavailable:  # a store that is out of reach is so for the next line, too
            named |= mentioned(log, name)
            unread = True
    return named, unread


def _of(log: Log, head: Head, before: float) -> set[str]:
    """The blobs that a state names; none of a model that was deleted before the grace."""
    if head.deleted is not None and datetime.fromisoformat(head.deleted).timestamp() < before:
        return set()
    named = {segment.digest for segment in head.sealed}
    for version in _versions(log, head):
        named |= {version.manifest, version.source, version.model, *version.files.values()}
        named |= {version.package} - {None}  # type: ignore[arg-type]  # what is left is text
    return named


def _versions(log: Log, head: Head) -> Iterator[Version]:
    yield from head.versions.values()
    for segment in head.sealed:
        if segment.last >= head.first:  # those before are of an earlier life of the name, and go
            yield from log.segment(segment.digest)


def mentioned(log: Log, model: str) -> set[str]:
    """All digests in the text of a model's records, cached states and segments. Raises Unavailable."""
    places = [keys.head(model), *(info.key for info in list_all(log.store, keys.snapshots(model)))]
    places += [info.key for info in list_all(log.store, keys.log(model))]
    digests: set[str] = set()
    for start in range(0, len(places), BATCH):
        for stored in get_many(log.store, places[start : start + BATCH], missing=b""):
            digests |= _digests(stored.body)
    return digests.union(*(_digests(_segment(log, digest)) for digest in digests))


def _segment(log: Log, digest: str) -> bytes:
    """The text of a blob that is a segment of versions; nothing, if it is another one, or not there."""
    try:
        if log.store.head(keys.blob(digest)).size > MOST_SEGMENT:
            return b""
        body = log.store.get(keys.blob(digest)).body
    except ObjectNotFound:
        return b""
    return body if body.startswith(b"[{") else b""


def _digests(body: bytes) -> set[str]:
    return {digest.decode() for digest in DIGEST.findall(body)}
