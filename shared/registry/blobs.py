"""Content-addressed blobs: written once, verified on every read."""

from __future__ import annotations

import hashlib

from shared.errors import Unavailable
from shared.registry import keys
from shared.storage.base import ObjectNotFound, Store


def write(store: Store, body: bytes) -> str:
    """Store the bytes under their SHA-256 and return it (hex). Equal bytes are stored once."""
    digest = hashlib.sha256(body).hexdigest()
    store.put(keys.blob(digest), body, if_absent=True)
    return digest


def read(store: Store, digest: str) -> bytes:
    """The blob's bytes. Raises Unavailable when it is missing, or is not what its name says."""
    try:
        body = store.get(keys.blob(digest)).body
    except ObjectNotFound as error:
        raise Unavailable(f"blob {digest} is missing from the store; restore it or roll back") from error
    if hashlib.sha256(body).hexdigest() != digest:
        raise Unavailable(f"blob {digest} is corrupt: its bytes have another digest; restore it or roll back")
    return body
