"""The public forms of uploads: what the API answers."""

from __future__ import annotations

from typing import Literal

import msgspec
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
    return msgspec.convert(msgspec.to_builtins(stored), Upload)
