"""The object store that everything rests on: one Protocol, its value types and its typed errors.

No domain words here: keys are opaque strings, bodies are bytes. Two implementations: s3.py and memory.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from msgspec import Struct

from shared import errors


class ObjectNotFound(errors.NotFound):
    """No object under this key."""


class AlreadyExists(errors.Conflict):
    """A create-if-absent found an object that is not this writer's own."""


class PreconditionFailed(errors.Conflict):
    """The object's ETag is not the expected one: someone else wrote in between."""


class Unavailable(errors.Unavailable):
    """The store did not answer, or not in a way that says what happened."""


class ObjectInfo(Struct, frozen=True):
    """What is known of an object without its body. size in bytes, modified in seconds since the epoch.

    version: which of the object's versions this is, where the store keeps versions; listings do not say.
    """

    key: str
    size: int
    etag: str
    modified: float
    version: str | None = None


class Object(Struct, frozen=True):
    body: bytes
    etag: str


class Page(Struct, frozen=True):
    """One page of a listing: objects, or common prefixes when a delimiter was given; `next` continues it."""

    objects: list[ObjectInfo]
    prefixes: list[str]
    next: str | None


class Store(Protocol):
    """An object store with conditional writes, strongly consistent reads and listings (as S3 is)."""

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

        if_absent: raises AlreadyExists when another object is there. The same bytes under the same key count as
        this call's own earlier attempt, whose reply was lost: callers that must tell two writers of equal bytes
        apart put a write id into the body.
        if_match: raises PreconditionFailed when the ETag moved.
        """
        ...

    def list_page(
        self, prefix: str, *, delimiter: str = "", after: str = "", token: str | None = None, limit: int = 1000
    ) -> Page:
        """One page of keys below `prefix`, in order; `after` starts behind a key, `token` continues a page."""
        ...

    def delete(self, key: str, *, version: str | None = None) -> None:
        """Remove an object; no error when it is not there.

        version: remove this version for good, and only this one: if the object was written again since, what was
        written stays.
        """
        ...

    def download(self, key: str, path: str) -> str:
        """Write the object's bytes to a new file and return their SHA-256 (hex). Raises ObjectNotFound."""
        ...

    def presign_put(
        self, key: str, *, expires: int, size: int | None, sha256: str | None
    ) -> tuple[str, dict[str, str]]:
        """A URL, and the exact headers to send, for one PUT that cannot replace an existing object."""
        ...

    def presign_get(self, key: str, *, expires: int) -> str:
        """A URL for reading an object, for `expires` seconds."""
        ...

    def presign_multipart(self, key: str, *, expires: int, parts: int) -> tuple[list[str], str, str]:
        """Start a multipart upload; URLs of its parts, of its completion (POST) and of its abort (DELETE)."""
        ...


PARALLEL = 16


def get_many(store: Store, keys: Sequence[str], *, missing: bytes | None = None) -> list[Object]:
    """Read objects at the same time, in the order of their keys.

    missing: the body to give for objects that are not there; without it, the first such raises ObjectNotFound.
    """

    def one(key: str) -> Object:
        try:
            return store.get(key)
        except ObjectNotFound:
            if missing is None:
                raise
            return Object(missing, "")

    if len(keys) < 2:
        return [one(key) for key in keys]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(PARALLEL, len(keys))) as pool:
        return list(pool.map(one, keys))


def list_all(store: Store, prefix: str, *, after: str = "") -> Iterator[ObjectInfo]:
    """Every object below `prefix`, however many pages that takes."""
    token = None
    while True:
        page = store.list_page(prefix, after=after, token=token)
        yield from page.objects
        if not page.next:
            return
        token = page.next
