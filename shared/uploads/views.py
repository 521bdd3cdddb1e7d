"""The public forms of uploads: what the API answers."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from shared.uploads.states import Upload


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


class UploadList(Struct):
    uploads: list[Upload]
    next: Annotated[str | None, Meta(description="where the next page starts; null on the last one")]
