"""What is stored of uploads: sessions, each written once, and states. How a state moves: states.py."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import msgspec
from msgspec import Struct, field

from shared import keys

State = Literal["waiting", "checking", "registered", "rejected", "failed", "expired"]
StoredState = Literal["waiting", "checking", "registered", "rejected"]
FINAL = ("registered", "rejected", "failed", "expired")


class File(Struct, frozen=True, omit_defaults=True):
    """One file of a package. size in bytes and sha256 (hex) where the client stated them."""

    name: str
    size: int | None = None
    sha256: str | None = None


class Named(Protocol):
    """Whatever says which upload of which model it is about."""

    @property
    def upload_id(self) -> str: ...

    @property
    def model(self) -> str: ...


class UploadSession(Struct, frozen=True, kw_only=True, tag_field="format", tag=1):
    """The files that a client announced. keys: the object key of each file, by name. name: of the caller's token."""

    upload_id: str
    model: str
    by: str
    created_at: str
    files: list[File]
    keys: dict[str, str]
    name: str | None = None


class Lease(Struct, frozen=True):
    """Who checks an upload at present. holder: a process and its thread. until: by then, its check has ended."""

    holder: str
    until: str


class Deletion(Struct, frozen=True):
    """That an upload's files were deleted, no contents and no names. kept: versions that Object Lock holds, hidden."""

    by: str
    at: str
    objects: int
    versions: int
    bytes: int
    kept: int = 0


class Upload(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="format", tag=1):
    """The state of an upload, as it is stored.

    stored_state, ending: the state is `ending` where that is set. Release 0.1 knows four states and reads a `failed`
    or `expired` upload as a rejected one, whose reason says what happened (formats.py: an addition that is safe to
    ignore). inbox_key: of an object that came through the inbox. attempts: how many checks have started. lease: of the
    one that may still be running. deletion: the receipt, where its files were deleted.
    """

    upload_id: str
    model: str
    stored_state: StoredState = field(name="state")
    by: str
    created_at: str
    updated_at: str
    files: list[File] = field(default_factory=list)
    version: int | None = None
    code: str | None = None
    reason: str | None = None
    ending: Literal["failed", "expired"] | None = None
    inbox_key: str | None = None
    attempts: int = 0
    lease: Lease | None = None
    deletion: Deletion | None = None

    @property
    def state(self) -> State:
        return self.ending or self.stored_state


# created once, before any thread: see registry/state.py
SESSION = msgspec.json.Decoder(UploadSession)
UPLOAD = msgspec.json.Decoder(Upload)


def first(session: UploadSession, stored_state: StoredState = "waiting", **outcome: Any) -> Upload:
    """The state that an upload begins with. outcome: members of one that has ended already."""
    return Upload(
        upload_id=session.upload_id,
        model=session.model,
        stored_state=stored_state,
        by=session.by,
        created_at=session.created_at,
        updated_at=session.created_at,
        files=session.files,
        inbox_key=next((key for key in session.keys.values() if key.startswith(keys.INBOX)), None),
        **outcome,
    )
