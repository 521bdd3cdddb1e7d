"""Garbage collection: blobs without a reference from any model are removed after a grace period.

The order makes it safe beside writers, who write blobs before the record that refers to them. Blobs are listed first,
heads are read next, and only blobs that were old at the listing and have no reference after it are examined again. A
writer who needs an old blob writes it again (blobs.py), which makes a new version of the object; only the version that
was examined is removed. A failed request never leads to a removal: a record of unknown outcome may refer to a blob.

A model whose state cannot be read, or was written by a later release, does not stop the collection: all digests in the
text of its records and heads count as references, whatever members they are in.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from msgspec import Struct

from shared import formats, keys
from shared.errors import Unavailable
from shared.registry import blobs, catalog
from shared.registry.log import BATCH, Log
from shared.registry.state import Head, Version
from shared.storage.base import PARALLEL, ObjectInfo, ObjectNotFound, get_many, list_all

MAX_SEGMENT = 4 * 1024 * 1024  # bytes
DIGEST = re.compile(keys.DIGEST.encode())


class Report(Struct, frozen=True):
    """kept: number of blobs that stay. deleted: digests. freed: bytes."""

    kept: int
    deleted: list[str]
    freed: int


def collect(log: Log, grace_seconds: float = blobs.GRACE, now: float | None = None) -> Report:
    """Remove unreferenced blobs older than the grace period. now: seconds since the epoch.

    Raises Unavailable, before anything is removed, if the store cannot be reached.
    """
    oldest_kept = (time.time() if now is None else now) - grace_seconds
    old: dict[str, ObjectInfo] = {}
    recent = 0
    for info in list_all(log.store, keys.BLOBS):
        if info.modified < oldest_kept:
            old[info.key.removeprefix(keys.BLOBS)] = info
        else:
            recent += 1
    referenced, unreadable = _referenced_blobs(log, oldest_kept) if old else (set(), False)
    unreferenced = sorted(old.keys() - referenced)
    if unreadable:  # segments are referred to by heads only, and a head may be what cannot be read
        unreferenced = [digest for digest in unreferenced if not _segment(log, digest)]
    deleted = [digest for digest in unreferenced if _remove(log, digest, oldest_kept)]
    return Report(recent + len(old) - len(deleted), deleted, sum(old[digest].size for digest in deleted))


def _remove(log: Log, digest: str, before: float) -> bool:
    try:
        present = log.store.head(keys.blob(digest))
    except ObjectNotFound:
        return False
    # without object versions, a blob that is being written again could be removed: then nothing is collected
    if present.modified > before or present.version is None:
        return False
    log.store.delete(keys.blob(digest), version=present.version)
    return True


def _referenced_blobs(log: Log, before: float) -> tuple[set[str], bool]:
    """The digests that any model refers to, and whether the state of a model could not be read."""

    def blobs_of(name: str) -> tuple[set[str], bool]:
        try:
            head = log.read(name)
            of_later_release = head.min_writer > formats.WRITER
            return mentioned(log, name) if of_later_release else _blobs_of(log, head, before), False
        except Unavailable:  # if it is the store that cannot be reached, the next line raises, too
            return mentioned(log, name), True

    digests: set[str] = set()
    unreadable = False
    with ThreadPoolExecutor(PARALLEL) as pool:
        for of_model, failed in pool.map(blobs_of, catalog.list_names(log.store)):
            digests |= of_model
            unreadable |= failed
    return digests, unreadable


def _blobs_of(log: Log, head: Head, before: float) -> set[str]:
    """The blobs that a state refers to; none if the model was deleted before the grace period."""
    if head.deleted is not None and datetime.fromisoformat(head.deleted).timestamp() < before:
        return set()
    digests = {segment.digest for segment in head.archived}
    for version in _versions(log, head):
        digests |= {version.manifest, version.source, version.model, *version.files.values()}
        if version.package is not None:
            digests.add(version.package)
    return digests


def _versions(log: Log, head: Head) -> Iterator[Version]:
    yield from head.versions.values()
    for segment in head.archived:
        if segment.last >= head.first:  # those before are of a deleted model that had the same name
            yield from log.segment(segment.digest)


def mentioned(log: Log, model: str) -> set[str]:
    """All digests in the text of a model's records, cached states and segments. Raises Unavailable."""
    objects = [keys.head(model), *(info.key for info in list_all(log.store, keys.snapshots(model)))]
    objects += [info.key for info in list_all(log.store, keys.log(model))]
    digests: set[str] = set()
    for start in range(0, len(objects), BATCH):
        for stored in get_many(log.store, objects[start : start + BATCH], missing=b""):
            digests |= _digests(stored.body)
    return digests.union(*(_digests(_segment(log, digest)) for digest in digests))


def _segment(log: Log, digest: str) -> bytes:
    """The content of a blob if it is an archived segment, else nothing; nothing if the blob is missing."""
    try:
        if log.store.head(keys.blob(digest)).size > MAX_SEGMENT:
            return b""
        body = log.store.get(keys.blob(digest)).body
    except ObjectNotFound:
        return b""
    return body if body.startswith(b"[{") else b""


def _digests(body: bytes) -> set[str]:
    return {digest.decode() for digest in DIGEST.findall(body)}
