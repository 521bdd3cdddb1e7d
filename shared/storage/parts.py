"""Writing a file to S3 that is too large to be in memory: in parts, of which none is there unless all are."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from shared import deadline
from shared.storage.base import Unavailable

PART = 32 * 1024 * 1024  # bytes; S3 takes 10,000 parts at most: 320 GB
PARALLEL = 4
Call = Callable[..., Any]


def upload(call: Call, key: str, path: str) -> None:
    """Write the file's bytes to an object. call: of S3, as S3Store has it. Raises Unavailable; then nothing is there.

    Each part goes with its SHA-256: the store refuses one that arrives otherwise.
    """
    from concurrent.futures import ThreadPoolExecutor

    started = call(key, "create_multipart_upload", Key=key, ChecksumAlgorithm="SHA256")["UploadId"]
    send = partial(_send, call, key, path, started)
    try:
        with ThreadPoolExecutor(PARALLEL) as pool:
            parts = list(pool.map(deadline.carry(send), range(0, os.path.getsize(path), PART)))
        call(key, "complete_multipart_upload", Key=key, UploadId=started, MultipartUpload={"Parts": parts})
    except BaseException:
        with suppress(Unavailable):
            call(key, "abort_multipart_upload", Key=key, UploadId=started)
        raise


def _send(call: Call, key: str, path: str, started: str, start: int) -> dict[str, Any]:
    with open(path, "rb") as file:
        file.seek(start)
        body = file.read(PART)
    checksum, number = base64.b64encode(hashlib.sha256(body).digest()).decode(), start // PART + 1
    reply = call(
        key, "upload_part", Key=key, UploadId=started, PartNumber=number, Body=body,
        ChecksumAlgorithm="SHA256", ChecksumSHA256=checksum,
    )  # fmt: skip
    return {"PartNumber": number, "ETag": reply["ETag"], "ChecksumSHA256": checksum}
