"""The public forms of uploads: what the API answers."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from shared.paging import NextPage
from shared.uploads import states


class HttpCall(Struct):
    method: Literal["POST", "DELETE"]
    url: str


class FileDestination(Struct, kw_only=True):
    """Where to send a file: in one piece (method, url, headers), or in parts, then `complete` or `abort`."""

    name: str
    method: Literal["PUT"] | UnsetType = UNSET
    url: str | UnsetType = UNSET
    headers: dict[str, str] | UnsetType = UNSET
    part_size: int | UnsetType = UNSET
    parts: list[str] | UnsetType = UNSET
    complete: HttpCall | UnsetType = UNSET
    abort: HttpCall | UnsetType = UNSET


class UploadSession(Struct, kw_only=True):
    """Send the files, then follow `status_url`."""

    upload_id: str
    model: str
    state: Literal["waiting"]
    expires_at: str
    files: list[FileDestination]
    status_url: str


class File(Struct, kw_only=True):
    """One file of a package. size in bytes and sha256 (hex) where the sender stated them."""

    name: str
    size: int | UnsetType = UNSET
    sha256: str | UnsetType = UNSET


class Upload(Struct, kw_only=True):
    """What became of an upload. version: of the model, where it is registered. code, reason: why it was rejected."""

    upload_id: str
    model: str
    state: Literal["waiting", "checking", "registered", "rejected"]
    by: str
    created_at: str
    updated_at: str
    files: list[File] | UnsetType = UNSET
    version: int | UnsetType = UNSET
    code: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET


class UploadList(Struct):
    uploads: list[Upload]
    next: NextPage


def upload(stored: states.Upload) -> Upload:
    return Upload(
        upload_id=stored.upload_id,
        model=stored.model,
        state=stored.state,
        by=stored.by,
        created_at=stored.created_at,
        updated_at=stored.updated_at,
        files=[_file(file) for file in stored.files] or UNSET,
        version=UNSET if stored.version is None else stored.version,
        code=UNSET if stored.code is None else stored.code,
        reason=UNSET if stored.reason is None else stored.reason,
    )


def _file(stored: states.File) -> File:
    return File(
        name=stored.name,
        size=UNSET if stored.size is None else stored.size,
        sha256=UNSET if stored.sha256 is None else stored.sha256,
    )
