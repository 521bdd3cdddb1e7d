"""The object store for functions whose cold start counts: read with obstore, which is there in 20 ms.

boto3 takes 300 ms for the same, so it is imported with the first call that is more than a read. See decision 12.
"""

from __future__ import annotations

import hashlib
import os
import queue
import threading
from collections.abc import Iterator
from datetime import timedelta
from functools import cached_property
from typing import Any, cast

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store as Remote

from shared.storage.base import Object, ObjectNotFound, Store, Unavailable

ATTEMPTS = 4
# one connection to S3 carries some 90 MB/s, a function's network several times as much
PART = 8 * 1024 * 1024
AT_ONCE = 6


class LightStore:
    """One bucket. Safe to share between threads."""

    def __init__(self, bucket: str, endpoint_url: str | None = None) -> None:
        self._bucket, self._endpoint = bucket, endpoint_url
        elsewhere: Any = {"endpoint": endpoint_url} if endpoint_url else {}
        self._remote = Remote(
            bucket,
            **elsewhere,
            region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1",
            virtual_hosted_style_request=endpoint_url is None,
            client_options={"allow_http": endpoint_url is not None, "connect_timeout": "3s", "timeout": "60s"},
            retry_config={"max_retries": ATTEMPTS - 1, "retry_timeout": timedelta(seconds=20)},
        )

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> Object:
        body, meta = self._got(key, start, length)
        return Object(bytes(body), str(meta["e_tag"]))

    def download(self, key: str, path: str) -> str:
        """As the whole store's, in parts at once; none is copied on its way from the network into file and digest."""
        first, meta = self._first(key)
        digest = hashlib.sha256(first)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            os.pwrite(file, first, 0)
            for part in self._parts(key, file, range(PART, meta["size"], PART)):
                digest.update(part)
        finally:
            os.close(file)
        return digest.hexdigest()

    def _first(self, key: str) -> tuple[Any, Any]:
        try:
            return self._got(key, 0, PART)
        except Unavailable as error:
            if "InvalidRange" not in str(error):
                raise
            return self._got(key, 0, None)  # an empty object has no range

    def _parts(self, key: str, file: int, starts: range) -> Iterator[Any]:
        """The parts in their order, each written into the file. Raises what the reading of one of them raised."""
        done: list[queue.SimpleQueue[Any]] = [queue.SimpleQueue() for _ in starts]
        waiting = iter(list(zip(starts, done, strict=True)))

        def work() -> None:
            for start, told in waiting:
                try:
                    body, _ = self._got(key, start, PART)
                    os.pwrite(file, body, start)
                    told.put(body)
                except Exception as error:
                    told.put(error)

        threads = [threading.Thread(target=work, daemon=True) for _ in range(min(AT_ONCE, len(starts)))]
        for thread in threads:
            thread.start()
        try:
            for told in done:
                part = told.get()
                if isinstance(part, Exception):
                    raise part
                yield part
        finally:
            for _ in waiting:  # nobody waits for the rest
                pass
            for thread in threads:
                thread.join()

    def _got(self, key: str, start: int, length: int | None) -> tuple[Any, Any]:
        """A range's bytes as obstore holds them, and what is known of the object."""
        options: Any = {}
        if start or length is not None:
            options = {"range": {"offset": start} if length is None else (start, start + length)}
        try:
            found = obstore.get(self._remote, key, options=options)
            return found.bytes(), found.meta
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise Unavailable(f"there is no bucket {self._bucket}: was the deployment removed?") from error
            raise ObjectNotFound(f"no object at {key}") from error
        except (BaseError, OSError) as error:
            raise Unavailable(f"the store did not give {key}: {_brief(error)}; try again") from error

    @cached_property
    def _whole(self) -> Store:
        from shared.storage.s3 import S3Store

        return S3Store(self._bucket, self._endpoint)

    def __getattr__(self, name: str) -> Any:
        """Everything but `get`, from the whole store."""
        return getattr(self._whole, name)


def store(bucket: str, endpoint_url: str | None = None) -> Store:
    """A store that reads lightly, where its credentials are such as obstore reads.

    A function restored from a snapshot (SnapStart) gets them from a local server, in a form that the SDK alone knows;
    there, imports are in the snapshot and cost nothing.
    """
    if "AWS_ACCESS_KEY_ID" in os.environ:
        return cast(Store, LightStore(bucket, endpoint_url))
    from shared.storage.s3 import S3Store

    return S3Store(bucket, endpoint_url)


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
