"""Uploads: the ticket that says what will come, and the state that says what became of it.

A ticket is written once. The state moves waiting → checking → registered | rejected and never leaves an end state,
however often and in whatever order storage events arrive.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec
from msgspec import Struct, field

from shared import formats, keys
from shared.clock import new_id, now
from shared.errors import NotFound
from shared.storage.base import AlreadyExists, ObjectNotFound, PreconditionFailed, Store, list_all

State = Literal["waiting", "checking", "registered", "rejected"]
FINAL = ("registered", "rejected")


class File(Struct, frozen=True, omit_defaults=True):
    """One file of a package. size in bytes and sha256 (hex) where the sender stated them."""

    name: str
    size: int | None = None
    sha256: str | None = None


class Ticket(Struct, frozen=True, kw_only=True, tag_field="format", tag=1):
    """What a sender announced. keys: where each file is expected, by name."""

    upload_id: str
    model: str
    by: str
    created_at: str
    files: list[File]
    keys: dict[str, str]


class Upload(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="format", tag=1):
    """The state of an upload, as it is stored."""

    upload_id: str
    model: str
    state: State
    by: str
    created_at: str
    updated_at: str
    files: list[File] = field(default_factory=list)
    version: int | None = None
    code: str | None = None
    reason: str | None = None


# made once, before any thread: see state.py
TICKET = msgspec.json.Decoder(Ticket)
UPLOAD = msgspec.json.Decoder(Upload)


def open_ticket(store: Store, model: str, files: list[File], by: str, upload: str | None = None) -> Ticket:
    """Announce an upload.

    upload: an id that the caller has, and comes back with after an interruption: the ticket is then the first one.
    """
    upload = upload or new_id()
    places = {file.name: keys.upload_file(upload, file.name) for file in files}
    return _write(store, Ticket(upload_id=upload, model=model, by=by, created_at=now(), files=files, keys=places))


def inbox_ticket(store: Store, model: str, key: str, tag: str, modified: float, by: str) -> Ticket:
    """The ticket of a file that appeared in the inbox: the same one for every event about the same object.

    tag: the object's version or ETag. modified: seconds since the epoch.
    """
    mark = hashlib.sha256(f"{key}\n{tag}\n{modified}".encode()).hexdigest()[:16]
    upload = new_id(modified, mark)
    files = [File("model.onnx")]
    return _write(
        store, Ticket(upload_id=upload, model=model, by=by, created_at=now(), files=files, keys={"model.onnx": key})
    )


def _write(store: Store, ticket: Ticket) -> Ticket:
    try:
        body = msgspec.json.encode(ticket)
        store.put(keys.ticket(ticket.upload_id), body, if_absent=True, content_type="application/json")
    except AlreadyExists:
        ticket = read_ticket(store, ticket.upload_id)
    _create_state(store, ticket)
    return ticket


def _create_state(store: Store, ticket: Ticket) -> None:
    state = Upload(
        upload_id=ticket.upload_id,
        model=ticket.model,
        state="waiting",
        by=ticket.by,
        created_at=ticket.created_at,
        updated_at=ticket.created_at,
        files=ticket.files,
    )
    try:
        body = msgspec.json.encode(state)
        store.put(
            keys.upload_state(ticket.model, ticket.upload_id), body, if_absent=True, content_type="application/json"
        )
    except AlreadyExists:
        pass  # it has moved on already


def read_ticket(store: Store, upload: str) -> Ticket:
    try:
        ticket: Ticket = formats.decode(TICKET, store.get(keys.ticket(upload)).body, f"the ticket of upload {upload!r}")
        return ticket
    except ObjectNotFound:
        raise NotFound(
            f"there is no upload {upload!r}: tickets expire after some days; "
            "GET /models/{model}/uploads keeps the outcome"
        ) from None


def read(store: Store, upload: str) -> Upload:
    ticket = read_ticket(store, upload)
    return _state(store.get(keys.upload_state(ticket.model, upload)).body, upload)


def _state(body: bytes, upload: str) -> Upload:
    state: Upload = formats.decode(UPLOAD, body, f"the state of upload {upload!r}")
    return state


def of_model(
    store: Store, model: str, *, limit: int = 100, after: str | None = None
) -> tuple[list[Upload], str | None]:
    """A model's uploads, oldest first; and where the next page starts. Of a name never heard of: none."""
    start = keys.upload_state(model, after) if after else ""
    page = store.list_page(keys.upload_states(model), after=start, limit=limit)
    uploads = [_state(store.get(info.key).body, info.key.rpartition("/")[2]) for info in page.objects]
    return uploads, uploads[-1].upload_id if page.next and uploads else None


def advance(
    store: Store,
    ticket: Ticket,
    state: State,
    *,
    version: int | None = None,
    code: str | None = None,
    reason: str | None = None,
) -> Upload:
    """Move an upload on. Whoever comes after an end state is told that state instead."""
    key = keys.upload_state(ticket.model, ticket.upload_id)
    while True:
        present = store.get(key)
        upload = _state(present.body, ticket.upload_id)
        if upload.state in FINAL:
            return upload
        moved = msgspec.structs.replace(
            upload, state=state, updated_at=now(), version=version, code=code, reason=reason
        )
        try:
            store.put(key, msgspec.json.encode(moved), if_match=present.etag, content_type="application/json")
            return moved
        except PreconditionFailed:
            continue  # another worker on the same upload was faster: look at what it wrote


def forgotten(store: Store, older_than: float, now_is: float) -> list[Ticket]:
    """Complete uploads without a verdict, whose last file came more than `older_than` seconds before `now_is`.

    Their event was lost, or every attempt to check them was interrupted. Uploads expire after some days.
    """
    found = []
    arrived: dict[str, float] = {}
    for info in list_all(store, "uploads/"):
        upload = info.key.split("/")[1]
        arrived[upload] = max(arrived.get(upload, 0), info.modified)
    for upload, last in arrived.items():
        if now_is - last <= older_than or not keys.is_upload(upload):
            continue
        try:
            ticket = read_ticket(store, upload)
            state = read(store, upload).state
        except (NotFound, ObjectNotFound, formats.TooNew):
            continue
        if state not in FINAL and not missing(store, ticket):
            found.append(ticket)
    return found


def missing(store: Store, ticket: Ticket) -> list[str]:
    """The announced files that have not arrived yet."""
    folder = f"uploads/{ticket.upload_id}/files/"
    present = {info.key for info in list_all(store, folder)}
    return [name for name, key in ticket.keys.items() if key.startswith(folder) and key not in present]
