"""Content-addressed blobs: stored once, verified on every read, kept for GRACE seconds after nothing names them."""

from __future__ import annotations

import hashlib
import time

from shared import keys
from shared.errors import Unavailable
from shared.storage.base import ObjectNotFound, Store

GRACE = 7 * 86400.0


def write(store: Store, body: bytes) -> str:
    """Store the bytes under their SHA-256 and return it (hex). Equal bytes are stored once.

    A blob that lies there for long is written again: it may be one that nothing names, about to be collected before
    this writer's record names it. Whatever else lies under its name is replaced by what belongs there.
    """
    digest = hashlib.sha256(body).hexdigest()
    key = keys.blob(digest)
    try:
        present = store.head(key)
    except ObjectNotFound:
        store.put(key, body)
        return digest
    if present.size != len(body) or time.time() - present.modified > GRACE / 2:
        store.put(key, body)
    return digest


def there(store: Store, digest: str) -> bool:
    try:
        store.head(keys.blob(digest))
    except ObjectNotFound:
        return False
    return True


def read(store: Store, digest: str) -> bytes:
    """The blob's bytes. Raises Unavailable when it is missing, or is not what its name says."""
    try:
        body = store.get(keys.blob(digest)).body
    except ObjectNotFound as error:
        raise _missing(digest) from error
    if hashlib.sha256(body).hexdigest() != digest:
        raise _corrupt(digest)
    return body


def download(store: Store, digest: str, path: str) -> None:
    """The blob as a new file. Raises Unavailable as `read` does, and when there is no room for it."""
    try:
        found = store.download(keys.blob(digest), path)
    except ObjectNotFound as error:
        raise _missing(digest) from error
    except OSError as error:
        raise Unavailable(f"blob {digest} could not be written to a file: {error.strerror}; try again") from error
    if found != digest:
        raise _corrupt(digest)


def _missing(digest: str) -> Unavailable:
    return Unavailable(f"blob {digest} is missing from the store; restore it or roll back")


def _corrupt(digest: str) -> Unavailable:
    return Unavailable(f"blob {digest} is corrupt: its bytes have another digest; restore it or roll back")
