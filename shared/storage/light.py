"""The object store for functions whose cold start counts: read with obstore, which is there in 20 ms.

boto3 takes 300 ms for the same, so it is imported with the first call that is more than a read. See decision 12.
"""

from __future__ import annotations

import os
from datetime import timedelta
from functools import cached_property
from typing import Any, cast

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store as Remote

from shared.storage.base import Object, ObjectNotFound, Store, Unavailable

ATTEMPTS = 4


class LightStore:
    """One bucket. Safe to share between threads."""

    def __init__(self, bucket: str, endpoint_url: str | None = None) -> None:
        self._bucket, self._endpoint = bucket, endpoint_url
        self._remote = Remote(
            bucket,
            endpoint=endpoint_url,
            region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1",
            virtual_hosted_style_request=endpoint_url is None,
            client_options={"allow_http": endpoint_url is not None, "connect_timeout": "3s", "timeout": "60s"},
            retry_config={"max_retries": ATTEMPTS - 1, "retry_timeout": timedelta(seconds=20)},
        )

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> Object:
        options: Any = {}
        if start or length is not None:
            options = {"range": {"offset": start} if length is None else (start, start + length)}
        try:
            found = obstore.get(self._remote, key, options=options)
            return Object(bytes(found.bytes()), str(found.meta["e_tag"]))
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
