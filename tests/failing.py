"""A store that fails on demand: wraps another one, and injects latency, errors before and after the effect, crashes.

What a plan is asked for each call decides: an error before the effect is a request that never arrived, one after it is
a lost reply. Shipped, because whoever builds on the registry needs it for the same proofs.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from shared.storage.base import Object, ObjectInfo, Page, Purged, Store, Unavailable

WRITES = ("put", "delete", "purge", "presign_multipart")


class Crash(BaseException):
    """The process died here. No part of the product catches it."""


@dataclass(frozen=True, slots=True)
class Call:
    """number counts all calls of a store, from 1."""

    number: int
    operation: str
    key: str


@dataclass(frozen=True, slots=True)
class Fault:
    """latency: seconds before the effect. before, after: raised instead of the effect, or instead of the reply."""

    before: BaseException | None = None
    after: BaseException | None = None
    latency: float = 0.0


Plan = Callable[[Call], Fault | None]


def never(call: Call) -> Fault | None:
    return None


def crash_at(number: int, *, after: bool) -> Plan:
    """Die at the call with this number, before or after its effect."""
    fault = Fault(after=Crash(f"after call {number}")) if after else Fault(before=Crash(f"before call {number}"))
    return lambda call: fault if call.number == number else None


def randomly(seed: int, *, before: float = 0, after: float = 0, latency: float = 0, only: tuple[str, ...] = ()) -> Plan:
    """Faults by chance: the shares of calls that fail before and after their effect; latency at most, in seconds.

    only: operations to fail, as in WRITES; all by default.
    """
    rng, lock = random.Random(seed), threading.Lock()

    def plan(call: Call) -> Fault | None:
        with lock:
            draw, wait = rng.random(), rng.random() * latency
        if only and call.operation not in only:
            return Fault(latency=wait)
        if draw < before:
            return Fault(before=Unavailable(f"injected before {call.operation} {call.key}"), latency=wait)
        if draw < before + after:
            return Fault(after=Unavailable(f"injected after {call.operation} {call.key}"), latency=wait)
        return Fault(latency=wait)

    return plan


class FailingStore:
    """Satisfies the Store protocol. calls: what was asked, in order."""

    def __init__(self, store: Store, plan: Plan = never) -> None:
        self.store = store
        self.plan = plan
        self.calls: list[Call] = []
        self._lock = threading.Lock()

    def _do(self, operation: str, key: str, *args: Any, **options: Any) -> Any:
        with self._lock:
            call = Call(len(self.calls) + 1, operation, key)
            self.calls.append(call)
        fault = self.plan(call) or Fault()
        if fault.latency:
            time.sleep(fault.latency)
        if fault.before is not None:
            raise fault.before
        try:
            return getattr(self.store, operation)(key, *args, **options)
        finally:
            if fault.after is not None:
                raise fault.after  # whatever the answer was, nobody hears it

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> Object:
        found: Object = self._do("get", key, start=start, length=length)
        return found

    def head(self, key: str) -> ObjectInfo:
        found: ObjectInfo = self._do("head", key)
        return found

    def put(
        self,
        key: str,
        body: bytes,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
        content_type: str = "application/octet-stream",
    ) -> str:
        options = {"if_absent": if_absent, "if_match": if_match, "content_type": content_type}
        return str(self._do("put", key, body, **options))

    def list_page(
        self, prefix: str, *, delimiter: str = "", after: str = "", token: str | None = None, limit: int = 1000
    ) -> Page:
        options = {"delimiter": delimiter, "after": after, "token": token, "limit": limit}
        found: Page = self._do("list_page", prefix, **options)
        return found

    def delete(self, key: str, *, version: str | None = None) -> None:
        self._do("delete", key, version=version)

    def purge(self, prefix: str) -> Purged:
        removed: Purged = self._do("purge", prefix)
        return removed

    def download(self, key: str, path: str) -> str:
        return str(self._do("download", key, path))

    def upload(self, key: str, path: str) -> None:
        self._do("upload", key, path)

    def presign_put(
        self, key: str, *, expires: int, size: int | None, sha256: str | None
    ) -> tuple[str, dict[str, str]]:
        made: tuple[str, dict[str, str]] = self._do("presign_put", key, expires=expires, size=size, sha256=sha256)
        return made

    def presign_get(self, key: str, *, expires: int) -> str:
        return str(self._do("presign_get", key, expires=expires))

    def presign_multipart(self, key: str, *, expires: int, sizes: Sequence[int]) -> tuple[list[str], str, str]:
        made: tuple[list[str], str, str] = self._do("presign_multipart", key, expires=expires, sizes=sizes)
        return made
