"""How many bytes of the bucket a model's versions have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shared import keys
from shared.registry.log import Log
from shared.registry.state import Head, Version
from shared.storage.base import Store

MOST_PAGES = 30  # of a listing of all blobs, 1,000 each


def sizes(store: Store) -> dict[str, int] | None:
    """Bytes of all blobs by digest; None where there are too many to list within a call."""
    by_digest: dict[str, int] = {}
    token = None
    for _ in range(MOST_PAGES):
        page = store.list_page(keys.BLOBS, token=token)
        by_digest |= {info.key.removeprefix(keys.BLOBS): info.size for info in page.objects}
        token = page.next
        if not token:
            return by_digest
    return None


def of_versions(log: Log, head: Head, known: Mapping[str, int]) -> dict[int, int]:
    """Bytes by version, retired ones included. A blob that several versions have counts for the first of them."""
    counted: set[str] = set()
    stored = {}
    for number in range(head.first, head.latest + 1):
        own = set(_digests(log.version(head, number))) - counted
        counted |= own
        stored[number] = sum(known.get(digest, 0) for digest in own)
    return stored


def _digests(version: Version) -> Iterable[str]:
    yield from (version.manifest, version.source, version.model, *version.files.values())
    if version.package:
        yield version.package
