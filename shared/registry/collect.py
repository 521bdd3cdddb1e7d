"""Garbage collection: blobs that no version of any model names any more are removed after a time of grace.

The order makes it safe beside writers, who write blobs before the record that names them. Blobs are listed first, heads
are read then, and only what was old at the listing and is unnamed after it is looked at again. A writer who meets an
old blob writes it anew (blobs.py), which makes a new version of the object; only the version that was looked at is
removed. Nothing is ever removed because something failed: an unknown outcome may have named it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime

from msgspec import Struct

from shared import keys
from shared.registry import blobs, catalogue
from shared.registry.log import Log
from shared.registry.state import Head, Version
from shared.storage.base import ObjectInfo, ObjectNotFound, list_all


class Report(Struct, frozen=True):
    """kept: blobs that are named or young. freed: bytes."""

    kept: int
    deleted: list[str]
    freed: int


def collect(log: Log, grace_seconds: float = blobs.GRACE, now: float | None = None) -> Report:
    """Remove unnamed blobs older than the grace. now: seconds since the epoch.

    Raises Unavailable, before anything is removed, when any model's state cannot be read.
    """
    time_is = time.time() if now is None else now
    old: dict[str, ObjectInfo] = {}
    kept = 0
    for info in list_all(log.store, keys.BLOBS):
        if time_is - info.modified > grace_seconds:
            old[info.key.removeprefix(keys.BLOBS)] = info
        else:
            kept += 1
    named = _named(log, time_is - grace_seconds) if old else set()
    deleted = [digest for digest in sorted(old.keys() - named) if _remove(log, digest, time_is - grace_seconds)]
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


def _named(log: Log, before: float) -> set[str]:
    found: set[str] = set()
    for name in catalogue.names(log.store):
        head = log.read(name)
        if head.deleted is not None and datetime.fromisoformat(head.deleted).timestamp() < before:
            continue
        found |= {segment.digest for segment in head.sealed}
        for version in _versions(log, head):
            found |= {version.manifest, version.source, version.model, *version.files.values()}
            found |= {version.package} - {None}  # type: ignore[arg-type]  # what is left is text
    return found


def _versions(log: Log, head: Head) -> Iterator[Version]:
    yield from head.versions.values()
    for segment in head.sealed:
        if segment.last >= head.first:  # those before are of an earlier life of the name, and go
            yield from log.segment(segment.digest)
