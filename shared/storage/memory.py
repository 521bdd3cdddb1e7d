"""The store in memory, for tests and experiments: the semantics of S3 that the product relies on."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from shared.storage.base import AlreadyExists, Object, ObjectInfo, ObjectNotFound, Page, PreconditionFailed, Purged


@dataclass(frozen=True, slots=True)
class _Stored:
    body: bytes
    etag: str
    modified: float
    version: str


class MemoryStore:
    """Thread-safe; each call is atomic. Presigned URLs have the scheme `memory:` and name the key."""

    def __init__(self) -> None:
        self._objects: dict[str, _Stored] = {}
        self._lock = threading.Lock()
        self._uploads = 0
        self._writes = 0

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> Object:
        stored = self._find(key)
        end = len(stored.body) if length is None else start + length
        return Object(stored.body[start:end], stored.etag)

    def head(self, key: str) -> ObjectInfo:
        stored = self._find(key)
        return ObjectInfo(key, len(stored.body), stored.etag, stored.modified, stored.version)

    def put(
        self,
        key: str,
        body: bytes,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
        content_type: str = "application/octet-stream",
    ) -> str:
        etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
        with self._lock:
            present = self._objects.get(key)
            if if_absent and present is not None:
                if present.body == body:  # as s3.py settles it: this call's own earlier attempt
                    return present.etag
                raise AlreadyExists(f"an object exists already at {key}")
            if if_match is not None and (present is None or present.etag != if_match):
                raise PreconditionFailed(f"the object at {key} was changed by another writer")
            self._writes += 1
            self._objects[key] = _Stored(bytes(body), etag, time.time(), f"v{self._writes}")
        return etag

    def list_page(
        self, prefix: str, *, delimiter: str = "", after: str = "", token: str | None = None, limit: int = 1000
    ) -> Page:
        start = token or after
        with self._lock:
            candidates = {k: v for k, v in self._objects.items() if k.startswith(prefix) and k > start}
        objects: list[ObjectInfo] = []
        prefixes: list[str] = []
        last = None
        for key in sorted(candidates):
            common = _common_prefix(key, prefix, delimiter)
            if common is not None and (common in prefixes or common <= start):
                last = key if common in prefixes else last
                continue
            if len(objects) + len(prefixes) >= limit:
                return Page(objects, prefixes, last)
            if common is not None:
                prefixes.append(common)
            else:
                stored = candidates[key]
                objects.append(ObjectInfo(key, len(stored.body), stored.etag, stored.modified))
            last = key
        return Page(objects, prefixes, None)

    def delete(self, key: str, *, version: str | None = None) -> None:
        with self._lock:
            present = self._objects.get(key)
            if present is not None and version in (None, present.version):
                del self._objects[key]

    def purge(self, prefix: str) -> Purged:
        """This store keeps one version of each object."""
        with self._lock:
            gone = {
                k: v for k, v in self._objects.items() if k == prefix or (prefix[-1:] == "/" and k.startswith(prefix))
            }
            for key in gone:
                del self._objects[key]
        return Purged(len(gone), len(gone), sum(len(stored.body) for stored in gone.values()))

    def download(self, key: str, path: str) -> str:
        body = self._find(key).body
        with open(path, "xb") as file:
            file.write(body)
        return hashlib.sha256(body).hexdigest()

    def upload(self, key: str, path: str) -> None:
        with open(path, "rb") as file:
            self.put(key, file.read())

    def presign_put(
        self, key: str, *, expires: int, size: int | None, sha256: str | None
    ) -> tuple[str, dict[str, str]]:
        return f"memory:///{quote(key)}", {"If-None-Match": "*"}

    def presign_get(self, key: str, *, expires: int) -> str:
        return f"memory:///{quote(key)}"

    def presign_multipart(self, key: str, *, expires: int, sizes: Sequence[int]) -> tuple[list[str], str, str]:
        with self._lock:
            self._uploads += 1
            upload = self._uploads
        base = f"memory:///{quote(key)}?uploadId={upload}"
        return [f"{base}&partNumber={n}" for n in range(1, len(sizes) + 1)], base, base

    def _find(self, key: str) -> _Stored:
        with self._lock:
            stored = self._objects.get(key)
        if stored is None:
            raise ObjectNotFound(f"no object at {key}")
        return stored


def _common_prefix(key: str, prefix: str, delimiter: str) -> str | None:
    """The part of `key` up to the first delimiter after `prefix`; None without one."""
    if not delimiter:
        return None
    cut = key.find(delimiter, len(prefix))
    return None if cut < 0 else key[: cut + len(delimiter)]
