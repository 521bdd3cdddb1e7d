"""Presigned URLs of a MemoryStore, as strict as S3's where a client may err: headers, digests, lists of parts."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol
from urllib.parse import quote, unquote
from xml.etree import ElementTree

from shared.storage.base import ObjectNotFound
from shared.storage.memory import MemoryStore

SPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"
Answer = tuple[int, dict[str, str], bytes]


class Request(Protocol):
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


class Storage:
    """Presigns for the store, and answers at these URLs. on_stored gets the key of each new object."""

    def __init__(self, store: MemoryStore, url: str, on_stored: Callable[[str], None]) -> None:
        self.store, self.url, self.on_stored = store, url, on_stored
        self.signed: dict[str, dict[str, str]] = {}  # headers by key
        self.parts: dict[str, dict[int, bytes]] = {}  # of multipart uploads that are open
        self.aborted: list[str] = []
        store.presign_put = self._presign_put  # type: ignore[method-assign]  # the store's own name no server
        store.presign_get = self._presign_get  # type: ignore[method-assign]  # as above
        store.presign_multipart = self._presign_multipart  # type: ignore[method-assign]  # as above

    def _presign_get(self, key: str, *, expires: int) -> str:
        return f"{self.url}/{quote(key)}?X-Amz-Signature=abc"

    def _presign_put(
        self, key: str, *, expires: int, size: int | None, sha256: str | None
    ) -> tuple[str, dict[str, str]]:
        headers = {"If-None-Match": "*"}
        if size is not None:
            headers["Content-Length"] = str(size)
        if sha256 is not None:
            headers["x-amz-checksum-sha256"] = base64.b64encode(bytes.fromhex(sha256)).decode()
        self.signed[key] = headers
        return self._presign_get(key, expires=expires), headers

    def _presign_multipart(self, key: str, *, expires: int, sizes: Sequence[int]) -> tuple[list[str], str, str]:
        self.parts[key] = {}
        url = self._presign_get(key, expires=expires)
        whole = f"{url}&uploadId=m"
        return [f"{url}&partNumber={number}" for number in range(1, len(sizes) + 1)], whole, whole

    def answer(self, method: str, path: str, request: Request) -> Answer:
        key = unquote(path)
        if "authorization" in request.headers or "transfer-encoding" in request.headers:
            return _error(400, "InvalidRequest", "only the signature, no chunks")
        if method == "GET":
            try:
                return 200, {}, self.store.get(key).body
            except ObjectNotFound:
                return _error(404, "NoSuchKey", "")
        if method == "DELETE":
            self.parts.pop(key)
            self.aborted.append(key)
            return 204, {}, b""
        if method == "POST":
            return self._assemble(key, request)
        if "partNumber" in request.query:
            self.parts[key][int(request.query["partNumber"])] = request.body
            return 200, {"ETag": _etag(request.body)}, b""
        return self._put(key, request)

    def _put(self, key: str, request: Request) -> Answer:
        signed = {name.lower(): value for name, value in self.signed[key].items()}
        if any(request.headers.get(name) != value for name, value in signed.items()):
            return _error(403, "SignatureDoesNotMatch", "headers &amp; all")
        checksum = base64.b64encode(hashlib.sha256(request.body).digest()).decode()
        if signed.get("x-amz-checksum-sha256", checksum) != checksum:
            return _error(400, "BadDigest", "")
        try:
            self.store.head(key)
        except ObjectNotFound:
            self._store(key, request.body)
            return 200, {}, b""
        return _error(412, "PreconditionFailed", "")

    def _assemble(self, key: str, request: Request) -> Answer:
        parts, listing = self.parts[key], ElementTree.fromstring(request.body)
        tags: list[tuple[int, Any]] = [(int(p[0].text or 0), p[1].text) for p in listing.iter(f"{SPACE}Part")]
        if not tags or tags != [(number, _etag(parts[number])) for number in sorted(parts)]:
            return _error(400, "InvalidPart", "")
        self._store(key, b"".join(parts[number] for number in sorted(parts)))
        del self.parts[key]
        return 200, {}, b""

    def _store(self, key: str, body: bytes) -> None:
        self.store.put(key, body)
        self.on_stored(key)


def _error(status: int, code: str, message: str) -> Answer:
    return status, {}, f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()


def _etag(content: bytes) -> str:
    return f'"{hashlib.md5(content).hexdigest()}"'
