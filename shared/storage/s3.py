"""The object store on S3, or on a server with S3's API.

A conditional write whose reply is lost must not look like a lost race: botocore's retries would send the write again
and get 412 because of the writer's own object. So the SDK never repeats anything: attempts.py does, and of a
conditional write, an unclear outcome is settled by reading the object before it is sent again.
"""

from __future__ import annotations

import base64
import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from botocore.config import Config as BotoConfig
from botocore.exceptions import BotoCoreError, ClientError

from shared import aws
from shared.storage import parts
from shared.storage.attempts import UNLIMITED, Attempts, Passing
from shared.storage.base import (
    AlreadyExists,
    Object,
    ObjectInfo,
    ObjectNotFound,
    Page,
    PreconditionFailed,
    Purged,
    Unavailable,
)
from shared.storage.purge import Purge

CONNECT = 3.0  # seconds
CHUNK = 1024 * 1024
# S3's errors below 500 that are gone a moment later
PASSING = ("RequestTimeout", "RequestTimeTooSkewed", "Throttling", "SlowDown", "OperationAborted")


class S3Store:
    """One bucket. Safe to share between threads."""

    def __init__(
        self, bucket: str, endpoint_url: str | None = None, client: Any = None, attempts: Attempts | None = None
    ) -> None:
        """client: used for every call, in place of the SDK's. attempts: shared with another client of the bucket."""
        self.bucket = bucket
        self._endpoint = endpoint_url
        self._given_client = client
        self._attempts = attempts or Attempts()
        self._clients: dict[float, Any] = {}
        self._making = threading.Lock()

    def _client(self, limit: float) -> Any:
        """The client for attempts of at most `limit` seconds."""
        if self._given_client is not None:
            return self._given_client
        with self._making:  # the SDK cannot make two at once
            if limit not in self._clients:
                self._clients[limit] = _make_client(self._endpoint, limit)
            return self._clients[limit]

    @property
    def client(self) -> Any:
        """The SDK's client, for what is not sent from here, as presigned URLs."""
        return next(iter(self._clients.values()), None) or self._client(UNLIMITED)

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> Object:
        options: dict[str, Any] = {} if not start and length is None else {"Range": _range(start, length)}
        stored: Object = self._call(key, "get_object", _read_object, Key=key, **options)
        return stored

    def head(self, key: str) -> ObjectInfo:
        reply = self._call(key, "head_object", Key=key)
        modified, version = reply["LastModified"].timestamp(), reply.get("VersionId")
        return ObjectInfo(key, reply["ContentLength"], reply["ETag"], modified, version)

    def put(
        self,
        key: str,
        body: bytes,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
        content_type: str = "application/octet-stream",
    ) -> str:
        args: dict[str, Any] = {
            "Key": key,
            "Body": body,
            "ContentType": content_type,
            "ChecksumAlgorithm": "SHA256",  # named beside it, which Object Lock requires
            "ChecksumSHA256": _checksum(body),
        }
        if not if_absent and if_match is None:
            return str(self._call(key, "put_object", _etag, **args))
        args |= {"IfNoneMatch": "*"} if if_absent else {"IfMatch": if_match}

        def send(limit: float) -> str:
            try:
                return _etag(self._client(limit).put_object(Bucket=self.bucket, **args))
            except (ClientError, BotoCoreError, Passing) as error:
                status = _status(error)
                if status in (400, 401, 403):
                    raise Unavailable(f"the store refused to write {key}: {error}") from error
                if status is not None:
                    self._attempts.answered()
                settled = self._settle(key, body, if_match)
                if settled is None:
                    raise Passing(f"the store did not accept {key} ({error}); try again") from error
                return settled

        return self._attempts.make(send)

    def _settle(self, key: str, body: bytes, if_match: str | None) -> str | None:
        """The outcome of a conditional write without a clear answer: its ETag if it took effect, None to send it again.

        Raises AlreadyExists or PreconditionFailed if another writer was faster.
        """
        try:
            present = self.get(key)
        except ObjectNotFound:
            if if_match is not None:
                raise PreconditionFailed(f"the object at {key} was deleted by another writer") from None
            return None
        if present.body == body:
            return present.etag
        if if_match is None:
            raise AlreadyExists(f"an object exists already at {key}")
        if present.etag != if_match:
            raise PreconditionFailed(f"the object at {key} was changed by another writer")
        return None

    def list_page(
        self, prefix: str, *, delimiter: str = "", after: str = "", token: str | None = None, limit: int = 1000
    ) -> Page:
        args: dict[str, Any] = {"Prefix": prefix, "MaxKeys": limit}
        if delimiter:
            args["Delimiter"] = delimiter
        if token:
            args["ContinuationToken"] = token
        elif after:
            args["StartAfter"] = after
        reply = self._call(prefix, "list_objects_v2", **args)
        objects = [
            ObjectInfo(o["Key"], o["Size"], o["ETag"], o["LastModified"].timestamp()) for o in reply.get("Contents", [])
        ]
        return Page(objects, [p["Prefix"] for p in reply.get("CommonPrefixes", [])], reply.get("NextContinuationToken"))

    def delete(self, key: str, *, version: str | None = None) -> None:
        args: dict[str, Any] = {"Key": key} | ({"VersionId": version} if version else {})
        try:
            # a retry after a lost reply finds no object, which is no error
            self._call(key, "delete_object", **args)
        except ObjectNotFound:
            return

    def purge(self, prefix: str) -> Purged:
        return Purge(self._call, prefix).run()

    def download(self, key: str, path: str) -> str:
        return str(self._call(key, "get_object", partial(_write_file, path), Key=key))

    def upload(self, key: str, path: str) -> None:
        if os.path.getsize(path) > parts.PART:
            parts.upload(self._call, key, path)
            return
        with open(path, "rb") as file:
            self.put(key, file.read())

    def presign_put(
        self, key: str, *, expires: int, size: int | None, sha256: str | None
    ) -> tuple[str, dict[str, str]]:
        args: dict[str, Any] = {"Bucket": self.bucket, "Key": key, "IfNoneMatch": "*"}
        headers = {"If-None-Match": "*"}
        if size is not None:
            args["ContentLength"] = size
            headers["Content-Length"] = str(size)
        if sha256 is not None:
            checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
            args["ChecksumSHA256"] = checksum
            headers["x-amz-checksum-sha256"] = checksum
        return self._presign("put_object", args, expires), headers

    def presign_get(self, key: str, *, expires: int) -> str:
        return self._presign("get_object", {"Bucket": self.bucket, "Key": key}, expires)

    def presign_multipart(self, key: str, *, expires: int, sizes: Sequence[int]) -> tuple[list[str], str, str]:
        upload = self._call(key, "create_multipart_upload", Key=key)["UploadId"]
        args = {"Bucket": self.bucket, "Key": key, "UploadId": upload}
        parts = ({"PartNumber": n, "ContentLength": size} for n, size in enumerate(sizes, start=1))
        urls = [self._presign("upload_part", args | part, expires) for part in parts]
        complete = self._presign("complete_multipart_upload", args, expires)
        return urls, complete, self._presign("abort_multipart_upload", args, expires)

    def _presign(self, operation: str, args: dict[str, Any], expires: int) -> str:
        return str(self.client.generate_presigned_url(operation, Params=args, ExpiresIn=expires))

    def _call(self, key: str, operation: str, read: Callable[[Any], Any] = lambda reply: reply, **args: Any) -> Any:
        """What `read` makes of the operation's reply. Raises ObjectNotFound, Unavailable."""

        def send(limit: float) -> Any:
            try:
                return read(getattr(self._client(limit), operation)(Bucket=self.bucket, **args))
            except ClientError as error:
                code, status = error.response["Error"]["Code"], _status(error)
                if code in ("NoSuchKey", "NoSuchVersion", "404", "NotFound"):
                    raise ObjectNotFound(f"no object at {key}") from error
                kind = Passing if code in PASSING or status is None or status >= 500 else Unavailable
                raise kind(f"the store answered {code} for {key}; try again") from error
            except BotoCoreError as error:
                raise Passing(f"the store cannot be reached for {key} ({error}); try again") from error

        return self._attempts.make(send)


def _make_client(endpoint_url: str | None, limit: float) -> Any:
    config = BotoConfig(
        retries={"total_max_attempts": 1},
        connect_timeout=min(limit, CONNECT),
        read_timeout=limit,
        signature_version="s3v4",
        max_pool_connections=32,
        s3={"addressing_style": "path"} if endpoint_url else None,
        # else the SDK signs a checksum header into presigned URLs, which their users would have to send
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return aws.client("s3", endpoint_url=endpoint_url, config=config)


def _etag(reply: Any) -> str:
    """Raises Passing where the reply broke off in its headers, which the SDK takes for a whole one."""
    etag = str(reply.get("ETag", ""))
    if len(etag) < 2 or not etag.startswith('"') or not etag.endswith('"'):
        raise Passing("the store's reply broke off; try again")
    return etag


def _read_object(reply: Any) -> Object:
    return Object(reply["Body"].read(), _etag(reply))


def _write_file(path: str, reply: Any) -> str:
    """Write an object to a new file, and return its SHA-256 (hex). Nothing stays of one that breaks off."""
    digest = hashlib.sha256()
    with open(path, "xb") as file:
        try:
            for chunk in reply["Body"].iter_chunks(CHUNK):
                digest.update(chunk)
                file.write(chunk)
        except BaseException:
            os.unlink(path)
            raise
    return digest.hexdigest()


def _range(start: int, length: int | None) -> str:
    return f"bytes={start}-" if length is None else f"bytes={start}-{start + length - 1}"


def _checksum(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def _status(error: Exception) -> int | None:
    return error.response["ResponseMetadata"]["HTTPStatusCode"] if isinstance(error, ClientError) else None
