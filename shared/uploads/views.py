"""The public forms of uploads: what the API answers."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from shared.paging import NextPage
from shared.uploads import attempts, forms, redrive


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


class UploadDeletion(Struct):
    """Who deleted an upload's files, and when; how many objects, versions of these, and bytes that were.

    kept: versions that the bucket's Object Lock holds until their time is over; no call finds them any more.
    """

    by: str
    at: str
    objects: int
    versions: int
    bytes: int
    kept: int = 0


class Upload(Struct, kw_only=True):
    """What became of an upload. version: of the model, where it is registered. code, reason: why it was rejected.

    model: empty for what was put into the inbox in no model's folder.

    Or why it `failed` (its checks were interrupted or killed) or `expired` (its files never came, or were removed);
    while it is `checking`, why that takes longer. attempts: how many checks have started.
    """

    upload_id: str
    model: str
    state: Literal["waiting", "checking", "registered", "rejected", "failed", "expired"]
    by: str
    created_at: str
    updated_at: str
    files: list[File] | UnsetType = UNSET
    version: int | UnsetType = UNSET
    code: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    attempts: int | UnsetType = UNSET
    deletion: UploadDeletion | UnsetType = UNSET


class RedrivenUpload(Struct, kw_only=True):
    """One upload that a failed event, or the request, named.

    outcome: `reopened`, it is checked again within minutes; `ended`, it had a verdict already; `gone`, its files are;
    `no upload`, the event named none.
    """

    outcome: Literal["reopened", "ended", "gone", "no upload"]
    upload_id: str | UnsetType = UNSET
    model: str | UnsetType = UNSET
    state: str | UnsetType = UNSET


class RedrivenUploads(Struct):
    """more: whether the queue may hold further failed events; repeat the call."""

    uploads: list[RedrivenUpload]
    more: bool


class UploadList(Struct):
    uploads: list[Upload]
    next: NextPage


def upload(stored: forms.Upload) -> Upload:
    shown = attempts.presented(stored)
    return msgspec.convert(msgspec.to_builtins(shown) | {"state": shown.state}, Upload)


def redriven(outcomes: list[redrive.Redriven], *, more: bool) -> RedrivenUploads:
    return RedrivenUploads(
        [msgspec.convert(msgspec.to_builtins(outcome), RedrivenUpload) for outcome in outcomes], more
    )
