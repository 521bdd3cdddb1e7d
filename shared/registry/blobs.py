"""Content-addressed blobs: stored once, verified on each read, kept for GRACE seconds after the last reference."""

from __future__ import annotations

import hashlib
import os
import time

from shared import keys
from shared.errors import Unavailable
from shared.storage.base import ObjectNotFound, Store

GRACE = 7 * 86400.0  # seconds


def write(store: Store, body: bytes) -> str:
    """Store the bytes under their SHA-256 and return it (hex). Equal bytes are stored once.

    An old blob is written again: it may be one without references, about to be collected before this writer's record
    refers to it. An object of another size is damaged, and replaced.
    """
    digest = hashlib.sha256(body).hexdigest()
    if _is_due(store, digest, len(body)):
        store.put(keys.blob(digest), body)
    return digest


def write_file(store: Store, path: str) -> str:
    """As `write`, of a file's bytes, which need not fit into memory."""
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if _is_due(store, digest, os.path.getsize(path)):
        store.upload(keys.blob(digest), path)
    return digest


def _is_due(store: Store, digest: str, size: int) -> bool:
    """Whether a blob is to be written: it is not there, not whole, or old."""
    try:
        present = store.head(keys.blob(digest))
    except ObjectNotFound:
        return True
    return present.size != size or time.time() - present.modified > GRACE / 2


def exists(store: Store, digest: str) -> bool:
    try:
        store.head(keys.blob(digest))
    except ObjectNotFound:
        return False
    return True


def read(store: Store, digest: str) -> bytes:
    """The blob's bytes. Raises Unavailable if it is missing, or its bytes have another digest."""
    try:
        body = store.get(keys.blob(digest)).body
    except ObjectNotFound as error:
        raise _missing(digest) from error
    if hashlib.sha256(body).hexdigest() != digest:
        raise _corrupt(digest)
    return body


def download(store: Store, digest: str, path: str) -> None:
    """Write the blob to a new file. Raises Unavailable as `read` does, and if there is no space for it."""
    try:
        actual = store.download(keys.blob(digest), path)
    except ObjectNotFound as error:
        raise _missing(digest) from error
    except OSError as error:
        raise Unavailable(f"blob {digest} could not be written to a file: {error.strerror}; try again") from error
    if actual != digest:
        raise _corrupt(digest)


def _missing(digest: str) -> Unavailable:
    return Unavailable(f"blob {digest} is missing from the store: restore it, or roll back to another version")


def _corrupt(digest: str) -> Unavailable:
    return Unavailable(
        f"blob {digest} is corrupt, its bytes have another digest: restore it, or roll back to another version"
    )
