"""The object store: one Protocol, its value types and its errors.

Nothing of the domain is here: keys are opaque strings, bodies are bytes. Implementations: s3.py, light.py (quick reads
on top of s3.py) and memory.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from msgspec import Struct

from shared import deadline, errors


class ObjectNotFound(errors.NotFound):
    """No object under this key."""


class AlreadyExists(errors.Conflict):
    """Another writer's object exists already under a key that was to be created."""


class PreconditionFailed(errors.Conflict):
    """The object's ETag is not the expected one: another writer changed it in between."""


class Unavailable(errors.Unavailable):
    """The store did not answer, or its answer does not say whether the call took effect."""


class ObjectInfo(Struct, frozen=True):
    """An object without its body. size in bytes, modified in seconds since the epoch.

    version: the id of the object's version, where the bucket has versioning; None in listings.
    """

    key: str
    size: int
    etag: str
    modified: float
    version: str | None = None


class Object(Struct, frozen=True):
    body: bytes
    etag: str


class Purged(Struct, frozen=True):
    """What was removed for good: keys, versions of objects, and the bytes that these had.

    kept: versions that the bucket's Object Lock holds until their time is over. No key leads to them any more.
    """

    objects: int = 0
    versions: int = 0
    bytes: int = 0
    kept: int = 0

    def __add__(self, other: Purged) -> Purged:
        return Purged(
            self.objects + other.objects,
            self.versions + other.versions,
            self.bytes + other.bytes,
            self.kept + other.kept,
        )


class Page(Struct, frozen=True):
    """One page of a listing: objects, and common prefixes for a delimiter. next: the token of the next page, if any."""

    objects: list[ObjectInfo]
    prefixes: list[str]
    next: str | None


class Store(Protocol):
    """An object store with conditional writes and strongly consistent reads and listings, as S3.

    Every method raises Unavailable.
    """

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> Object:
        """Read an object, or `length` bytes of it from `start`. Raises ObjectNotFound."""
        ...

    def head(self, key: str) -> ObjectInfo:
        """Raises ObjectNotFound."""
        ...

    def put(
        self,
        key: str,
        body: bytes,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
        content_type: str = "application/octet-stream",
    ) -> str:
        """Write an object and return its ETag.

        if_absent: raises AlreadyExists when another object exists. An object of the same bytes counts as this call's
        own earlier attempt, whose reply was lost: callers that must tell two writers of equal bytes apart put a
        write id into the body.
        if_match: raises PreconditionFailed when the ETag is another one.
        """
        ...

    def list_page(
        self, prefix: str, *, delimiter: str = "", after: str = "", token: str | None = None, limit: int = 1000
    ) -> Page:
        """One page of the keys that start with `prefix`, in order. after: only later keys. token: `next` of a page."""
        ...

    def delete(self, key: str, *, version: str | None = None) -> None:
        """Delete an object; no error when it does not exist.

        version: delete this version permanently, and no other: an object that was written again since stays.
        """
        ...

    def purge(self, prefix: str) -> Purged:
        """Delete all versions of all objects permanently, delete markers included.

        prefix: of a folder, with its final slash; any other text is the key of one object. What is written meanwhile
        may stay. A call that was interrupted can be repeated: it removes the rest. Where Object Lock holds a version,
        a delete marker hides it.
        """
        ...

    def download(self, key: str, path: str) -> str:
        """Write the object's bytes to a new file and return their SHA-256 (hex). Raises ObjectNotFound."""
        ...

    def upload(self, key: str, path: str) -> None:
        """Write an object of a file's bytes, however large: in parts, and all of them or none."""
        ...

    def presign_put(
        self, key: str, *, expires: int, size: int | None, sha256: str | None
    ) -> tuple[str, dict[str, str]]:
        """A URL, and the exact headers to send, for one PUT that cannot replace an existing object."""
        ...

    def presign_get(self, key: str, *, expires: int) -> str:
        """A URL for reading an object, for `expires` seconds."""
        ...

    def presign_multipart(self, key: str, *, expires: int, sizes: Sequence[int]) -> tuple[list[str], str, str]:
        """Start a multipart upload; URLs of its parts, of its completion (POST) and of its abort (DELETE).

        sizes: of the parts in bytes; each URL takes a part of its size only.
        """
        ...


PARALLEL = 16


def get_many(store: Store, keys: Sequence[str], *, missing: bytes | None = None) -> list[Object]:
    """Read objects at the same time, in the order of their keys.

    missing: the body to return for objects that do not exist; without it, the first of them raises ObjectNotFound.
    """

    def read(key: str) -> Object:
        try:
            return store.get(key)
        except ObjectNotFound:
            if missing is None:
                raise
            return Object(missing, "")

    if len(keys) < 2:
        return [read(key) for key in keys]
    # here, because few callers read many: the import would cost each cold start some milliseconds
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(PARALLEL, len(keys))) as pool:
        return list(pool.map(deadline.carry(read), keys))


def delete_many(store: Store, keys: Sequence[str]) -> None:
    """Delete objects at the same time; no error for those that do not exist."""
    from concurrent.futures import ThreadPoolExecutor  # as in get_many

    with ThreadPoolExecutor(PARALLEL) as pool:
        list(pool.map(deadline.carry(store.delete), keys))


def list_all(store: Store, prefix: str, *, after: str = "") -> Iterator[ObjectInfo]:
    """All objects whose keys start with `prefix`, in order, page by page. after: only later keys."""
    token = None
    while True:
        page = store.list_page(prefix, after=after, token=token)
        yield from page.objects
        if not page.next:
            return
        token = page.next


def list_folders(store: Store, prefix: str) -> Iterator[str]:
    """The names that come next in keys behind `prefix`, which ends with a slash, up to the following one, in order."""
    token = None
    while True:
        page = store.list_page(prefix, delimiter="/", token=token)
        yield from (folder[len(prefix) : -1] for folder in page.prefixes)
        if not page.next:
            return
        token = page.next
