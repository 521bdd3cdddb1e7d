"""A store that counts what is asked of the one behind it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from shared.storage.base import Object, ObjectInfo, Page, Store
from shared.storage.s3 import S3Store

KINDS = ("GET", "PUT", "LIST", "DELETE", "HEAD")


@dataclass
class Tally:
    """Requests by kind, and the bytes of bodies; a listing's answer counts no bytes.

    waited: seconds in which at least one request was held up by the store's latency.
    """

    requests: Counter[str] = field(default_factory=Counter)
    down: int = 0
    up: int = 0
    waited: float = 0.0


class CountingStore:
    """latency: seconds that each request takes longer. before: called ahead of each request, with its kind and key."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.tally = Tally()
        self.latency = 0.0
        self.before: Callable[[str, str], None] = lambda kind, key: None
        self._lock = threading.Lock()
        self._held_up, self._since = 0, 0.0

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> Object:
        self._ask("GET", key)
        found = self.store.get(key, start=start, length=length)
        with self._lock:
            self.tally.down += len(found.body)
        return found

    def head(self, key: str) -> ObjectInfo:
        self._ask("HEAD", key)
        return self.store.head(key)

    def put(
        self,
        key: str,
        body: bytes,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
        content_type: str = "application/octet-stream",
    ) -> str:
        self._ask("PUT", key, len(body))
        return self.store.put(key, body, if_absent=if_absent, if_match=if_match, content_type=content_type)

    def list_page(
        self, prefix: str, *, delimiter: str = "", after: str = "", token: str | None = None, limit: int = 1000
    ) -> Page:
        self._ask("LIST", prefix)
        return self.store.list_page(prefix, delimiter=delimiter, after=after, token=token, limit=limit)

    def delete(self, key: str, *, version: str | None = None) -> None:
        self._ask("DELETE", key)
        self.store.delete(key, version=version)

    def download(self, key: str, path: str) -> str:
        self._ask("GET", key)
        return self.store.download(key, path)

    def presign_put(
        self, key: str, *, expires: int, size: int | None, sha256: str | None
    ) -> tuple[str, dict[str, str]]:
        return self.store.presign_put(key, expires=expires, size=size, sha256=sha256)

    def presign_get(self, key: str, *, expires: int) -> str:
        return self.store.presign_get(key, expires=expires)

    def presign_multipart(self, key: str, *, expires: int, parts: int) -> tuple[list[str], str, str]:
        return self.store.presign_multipart(key, expires=expires, parts=parts)

    def _ask(self, kind: str, key: str, up: int = 0) -> None:
        self.before(kind, key)
        with self._lock:
            self.tally.requests[kind] += 1
            self.tally.up += up
        if self.latency:
            self._hold(1)
            time.sleep(self.latency)
            self._hold(-1)

    def _hold(self, change: int) -> None:
        with self._lock:
            if not self._held_up:
                self._since = time.perf_counter()
            self._held_up += change
            if not self._held_up:
                self.tally.waited += time.perf_counter() - self._since


def on_the_wire(store: S3Store) -> Counter[str]:
    """A count, from now on, of the HTTP requests that the SDK sends for this store: repeats and look-ups included."""
    sent: Counter[str] = Counter()
    lock = threading.Lock()

    def count(request: Any, **_: Any) -> None:
        with lock:
            sent["LIST" if "list-type=" in request.url else request.method] += 1

    for client in {id(c): c for c in (store._client, store._once)}.values():
        client.meta.events.register("before-send.s3", count)
    return sent
