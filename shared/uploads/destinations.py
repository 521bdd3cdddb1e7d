"""Where a client sends a file: one presigned PUT, or the parts of a multipart upload, in the API's public form."""

from __future__ import annotations

from typing import Any

from shared.config import MiB
from shared.storage.base import Store

SINGLE_PUT = 64 * MiB
PART = 16 * MiB  # S3 requires at least 5 MiB per part except the last, and accepts at most 10,000 parts


def destination(
    store: Store,
    key: str,
    name: str,
    *,
    size: int,
    sha256: str | None,
    expires: int,
    part_size: int | None = None,
) -> dict[str, Any]:
    """Where to send the file `name` of `size` bytes: views.FileDestination, valid for `expires` seconds.

    The size is part of the signature, also of each part: without it, each URL would take 5 GB.

    In parts where the file is larger than SINGLE_PUT, or than the `part_size` that the client asked for.
    """
    if (part_size or size > SINGLE_PUT) and size > (part_size or PART):
        return _multipart(store, key, name, size, expires, part_size or PART)
    url, headers = store.presign_put(key, expires=expires, size=size, sha256=sha256)
    return {"name": name, "method": "PUT", "url": url, "headers": headers}


def _multipart(store: Store, key: str, name: str, size: int, expires: int, part_size: int) -> dict[str, Any]:
    sizes = [min(part_size, size - start) for start in range(0, size, part_size)]
    urls, complete, abort = store.presign_multipart(key, expires=expires, sizes=sizes)
    return {
        "name": name,
        "part_size": part_size,
        "parts": urls,
        "complete": {"method": "POST", "url": complete},
        "abort": {"method": "DELETE", "url": abort},
    }
