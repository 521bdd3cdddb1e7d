"""Creating an upload session: which files may come, how large, and the URLs to send them to."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from shared import keys
from shared.clock import now
from shared.config import Config, MiB
from shared.errors import BadInput, TooLarge
from shared.storage.base import Store
from shared.uploads import forms, states
from shared.uploads.destinations import destination

MODEL_FILE = "model.onnx"
MANIFEST_FILE = "amaas.json"
MAX_FILES = 16
SHA256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


class Announced(Struct, frozen=True):
    """A file of a package. size: in bytes, which its URL is signed for: nothing else can be sent to it."""

    name: str
    size: Annotated[int, Meta(ge=1)]
    sha256: SHA256 | None = None


class UploadRequest(Struct, frozen=True):
    """The body of POST /models/{m}/uploads."""

    files: Annotated[list[Announced], Meta(min_length=1, max_length=MAX_FILES)]
    multipart_part_size: Annotated[int, Meta(ge=5 * MiB, le=1024 * MiB)] | None = None


def create(
    store: Store,
    config: Config,
    model: str,
    request: UploadRequest,
    by: str,
    identity: str = "",
    name: str | None = None,
) -> dict[str, Any]:
    """Open an upload session: views.UploadSession. Raises BadInput, TooLarge before anything is written.

    by, name: the caller's token, and what it is called. identity: the id to use, by which an interrupted call is
    repeated.
    """
    require_valid(model, request, config)
    files = [forms.File(file.name, file.size, file.sha256) for file in request.files]
    session = states.open_session(store, model, files, by, identity or None, name)
    destinations = [
        destination(
            store,
            session.keys[file.name],
            file.name,
            size=file.size,
            sha256=file.sha256,
            expires=config.upload_ttl,
            part_size=request.multipart_part_size,
        )
        for file in request.files
    ]
    return {
        "upload_id": session.upload_id,
        "model": model,
        "state": "waiting",
        "expires_at": now(config.upload_ttl),
        "files": destinations,
        "status_url": f"/uploads/{session.upload_id}",
    }


def has_own_files(session: forms.UploadSession) -> bool:
    """Whether a session names the objects in its own folder, and no others."""
    try:
        own = {file.name: keys.upload_file(session.upload_id, file.name) for file in session.files}
    except BadInput:
        return False
    return session.keys == own


def require_valid(model: str, request: UploadRequest, config: Config) -> None:
    """Raises BadInput, TooLarge."""
    keys.model_name(model)
    names = [keys.file_name(file.name) for file in request.files]
    if len(set(names)) != len(names):
        raise BadInput("two files of the package have the same name: rename one of them")
    if MODEL_FILE not in names:
        raise BadInput(f"a package needs a file named {MODEL_FILE}; it has {names}")
    for file in request.files:
        if file.name == MANIFEST_FILE:
            from shared.package import bounds  # for the few calls that announce one

            bounds.check_size(file.size)
    largest, total = max(request.files, key=lambda file: file.size), sum(file.size for file in request.files)
    if largest.size > config.max_upload_bytes or total > config.max_package_bytes:
        raise TooLarge(
            f"{largest.name} has {largest.size:,} bytes, and the package {total:,}: this deployment accepts "
            f"{config.max_upload_bytes:,} for a file and {config.max_package_bytes:,} for a package; "
            "quantize or prune the model, or deploy with a larger MaxUploadBytes"
        )
