"""The object store for functions whose cold start counts: reads by obstore, which is imported in 20 ms.

boto3 takes 300 ms, so it is imported with the first call that is not a read. See decision 12.
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
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store as Remote

from shared import deadline
from shared.storage.attempts import LIMITS, Attempts, Passing
from shared.storage.base import Object, ObjectNotFound, Store, Unavailable

CONNECT = 3.0  # seconds
SMALL = 256 * 1024  # bytes
# one connection to S3 carries some 90 MB/s, a function's network several times as much
PART = 8 * 1024 * 1024
PARALLEL_PARTS = 6
INVALID_RANGE = "InvalidRange"


class LightStore:
    """One bucket. Safe to share between threads."""

    def __init__(self, bucket: str, endpoint_url: str | None = None) -> None:
        self._bucket, self._endpoint = bucket, endpoint_url
        self._attempts = Attempts()
        self._remotes: dict[float, Remote] = {}
        self._making = threading.Lock()
        self._remote(LIMITS[0])  # that of most calls, made while the function starts: it takes 5 ms

    def _remote(self, limit: float) -> Remote:
        """The client for attempts of at most `limit` seconds."""
        with self._making:
            if limit not in self._remotes:
                self._remotes[limit] = self._make_remote(limit)
            return self._remotes[limit]

    def _make_remote(self, limit: float) -> Remote:
        endpoint: Any = {"endpoint": self._endpoint} if self._endpoint else {}
        return Remote(
            self._bucket,
            **endpoint,
            region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1",
            virtual_hosted_style_request=self._endpoint is None,
            client_options={
                "allow_http": self._endpoint is not None,
                "connect_timeout": timedelta(seconds=min(limit, CONNECT)),
                "timeout": timedelta(seconds=limit),
            },
            retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=limit)},
        )

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> Object:
        body, meta = self._read_range(key, start, length)
        return Object(bytes(body), str(meta["e_tag"]))

    def put(
        self,
        key: str,
        body: bytes,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
        content_type: str = "application/octet-stream",
    ) -> str:
        """As Store.put; what is small and has no condition is written without the SDK, as it needs no settling."""
        if if_absent or if_match is not None or len(body) > SMALL:
            return self._full_store.put(key, body, if_absent=if_absent, if_match=if_match, content_type=content_type)
        attributes: Any = {"Content-Type": content_type}

        def send(limit: float) -> str:
            try:
                reply = obstore.put(self._remote(limit), key, body, attributes=attributes, use_multipart=False)
                return str(reply["e_tag"])
            except (PermissionDeniedError, UnauthenticatedError) as error:
                raise Unavailable(f"the store refused to write {key}: {_brief(error)}") from error
            except (BaseError, OSError) as error:
                raise Passing(f"writing {key} failed: {_brief(error)}; try again") from error

        return self._attempts.make(send)

    def download(self, key: str, path: str) -> str:
        """As Store.download, several parts at a time; none is copied between the network, the file and the digest."""
        first, meta = self._read_first_part(key)
        digest = hashlib.sha256(first)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            os.pwrite(file, first, 0)
            for part in self._read_parts(key, file, range(PART, meta["size"], PART)):
                digest.update(part)
        finally:
            os.close(file)
        return digest.hexdigest()

    def _read_first_part(self, key: str) -> tuple[Any, Any]:
        try:
            return self._read_range(key, 0, PART)
        except Unavailable as error:
            if INVALID_RANGE not in str(error):
                raise
            return self._read_range(key, 0, None)  # no range of an empty object is valid

    def _read_parts(self, key: str, file: int, starts: range) -> Iterator[Any]:
        """Yields the parts in order, each written to the file already. Raises the first failed part's exception."""
        # one queue per part, so that parts which finish out of order are yielded in order
        results: list[queue.SimpleQueue[Any]] = [queue.SimpleQueue() for _ in starts]
        # the threads share this iterator: each next() hands one part to one thread
        waiting = iter(list(zip(starts, results, strict=True)))

        def read_parts() -> None:
            for start, result in waiting:
                try:
                    body, _ = self._read_range(key, start, PART)
                    os.pwrite(file, body, start)
                    result.put(body)
                except Exception as error:
                    result.put(error)

        work = deadline.carry(read_parts)
        threads = [threading.Thread(target=work, daemon=True) for _ in range(min(PARALLEL_PARTS, len(starts)))]
        for thread in threads:
            thread.start()
        try:
            for result in results:
                part = result.get()
                if isinstance(part, Exception):
                    raise part
                yield part
        finally:
            for _ in waiting:  # after an error: the threads start no other part
                pass
            for thread in threads:
                thread.join()

    def _read_range(self, key: str, start: int, length: int | None) -> tuple[Any, Any]:
        """A range's bytes, in obstore's own buffer, and the object's metadata. Raises ObjectNotFound, Unavailable."""
        options: Any = {}
        if start or length is not None:
            options = {"range": {"offset": start} if length is None else (start, start + length)}
        return self._attempts.make(lambda limit: self._send(limit, key, options))

    def _send(self, limit: float, key: str, options: Any) -> tuple[Any, Any]:
        try:
            reply = obstore.get(self._remote(limit), key, options=options)
            return reply.bytes(), reply.meta
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise Unavailable(f"there is no bucket {self._bucket}: does the deployment still exist?") from error
            raise ObjectNotFound(f"no object at {key}") from error
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise Unavailable(f"the store refused to read {key}: {_brief(error)}") from error
        except (BaseError, OSError) as error:
            kind = Unavailable if INVALID_RANGE in str(error) else Passing
            raise kind(f"reading {key} failed: {_brief(error)}; try again") from error

    @cached_property
    def _full_store(self) -> Store:
        from shared.storage.s3 import S3Store

        return S3Store(self._bucket, self._endpoint, attempts=self._attempts)

    def __getattr__(self, name: str) -> Any:
        """All other methods of Store, from s3.py."""
        return getattr(self._full_store, name)


def store(bucket: str, endpoint_url: str | None = None) -> Store:
    """A LightStore where the credentials are in the environment, which obstore reads; else an S3Store.

    A function restored from a snapshot (SnapStart) gets its credentials from a local server, in a form that only the
    SDK reads; its imports are in the snapshot and cost nothing.
    """
    if "AWS_ACCESS_KEY_ID" in os.environ:
        return cast(Store, LightStore(bucket, endpoint_url))
    from shared.storage.s3 import S3Store

    return S3Store(bucket, endpoint_url)


def _brief(error: Exception) -> str:
    """What a reader can use of it: without the structs of the client that raised it."""
    return " ".join(str(error).split("Debug source:")[0].split())[:300]
