"""What an upload ticket promises: which files may come, how large, and the URLs to send them to."""

from __future__ import annotations

import math
from typing import Annotated, Any

from msgspec import Meta, Struct, field

from shared.config import Config, MiB
from shared.errors import BadInput, TooLarge
from shared.registry import keys, uploads
from shared.registry.log import now
from shared.storage.base import Store

MODEL_FILE = "model.onnx"
MANIFEST_FILE = "amaas.json"
SINGLE_PUT = 64 * MiB
PART = 16 * MiB  # S3 wants at least 5 MiB per part, and takes at most 10,000 of them
MAX_FILES = 16
SHA256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


class Announced(Struct, frozen=True):
    name: str
    size: Annotated[int, Meta(ge=1)] | None = None
    sha256: SHA256 | None = None


class UploadRequest(Struct, frozen=True):
    """The body of POST /models/{m}/uploads; empty, it announces a single model.onnx of unknown size."""

    files: Annotated[list[Announced], Meta(min_length=1, max_length=MAX_FILES)] = field(
        default_factory=lambda: [Announced(MODEL_FILE)]
    )
    multipart_part_size: Annotated[int, Meta(ge=5 * MiB, le=1024 * MiB)] | None = None


def issue(store: Store, config: Config, model: str, request: UploadRequest, by: str) -> dict[str, Any]:
    """Open an upload and say where to send its files. Raises BadInput, TooLarge before anything is written."""
    keys.model_name(model)
    _check(request, config)
    files = [uploads.File(file.name, file.size, file.sha256) for file in request.files]
    ticket = uploads.open_ticket(store, model, files, by)
    targets = [_target(store, config, ticket, file, request.multipart_part_size) for file in files]
    return {
        "upload_id": ticket.upload_id,
        "model": model,
        "state": "waiting",
        "expires_at": now(config.upload_ttl),
        "files": targets,
        "status_url": f"/uploads/{ticket.upload_id}",
    }


def _check(request: UploadRequest, config: Config) -> None:
    names = [keys.file_name(file.name) for file in request.files]
    if len(set(names)) != len(names):
        raise BadInput("two files of the package have the same name")
    if MODEL_FILE not in names:
        raise BadInput(f"a package needs a file named {MODEL_FILE}; it has {names}")
    for file in request.files:
        if file.size and file.size > config.max_upload_bytes:
            raise TooLarge(
                f"{file.name} has {file.size:,} bytes, more than the {config.max_upload_bytes:,} a file may have; "
                "quantise or prune the model, or raise MaxUploadBytes in the deployment"
            )


def _target(
    store: Store, config: Config, ticket: uploads.Ticket, file: uploads.File, part_size: int | None
) -> dict[str, Any]:
    key = ticket.keys[file.name]
    if file.size and (part_size or file.size > SINGLE_PUT) and file.size > (part_size or PART):
        return _parts(store, config, key, file, part_size or PART)
    url, headers = store.presign_put(key, expires=config.upload_ttl, size=file.size, sha256=file.sha256)
    return {"name": file.name, "method": "PUT", "url": url, "headers": headers}


def _parts(store: Store, config: Config, key: str, file: uploads.File, part_size: int) -> dict[str, Any]:
    count = math.ceil((file.size or 0) / part_size)
    urls, complete, abort = store.presign_multipart(key, expires=config.upload_ttl, parts=count)
    return {
        "name": file.name,
        "part_size": part_size,
        "parts": urls,
        "complete": {"method": "POST", "url": complete},
        "abort": {"method": "DELETE", "url": abort},
    }
