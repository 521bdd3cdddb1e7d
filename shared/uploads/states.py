"""Upload sessions, each written once, and the state of each upload.

The state moves waiting → checking → registered | rejected and never leaves a final state, however often and in
whatever order storage events arrive.
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
    """One file of a package. size in bytes and sha256 (hex) where the client stated them."""

    name: str
    size: int | None = None
    sha256: str | None = None


class UploadSession(Struct, frozen=True, kw_only=True, tag_field="format", tag=1):
    """The files that a client announced. keys: the object key of each file, by name."""

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


# created once, before any thread: see registry/state.py
SESSION = msgspec.json.Decoder(UploadSession)
UPLOAD = msgspec.json.Decoder(Upload)


def open_session(store: Store, model: str, files: list[File], by: str, upload: str | None = None) -> UploadSession:
    """Open an upload session for files of known names.

    upload: the id to use. A caller that repeats the call with the same id after an interruption gets the session that
    the first call wrote, with the files that were announced then.
    """
    upload = upload or new_id()
    destinations = {file.name: keys.upload_file(upload, file.name) for file in files}
    return _write(
        store, UploadSession(upload_id=upload, model=model, by=by, created_at=now(), files=files, keys=destinations)
    )


def open_inbox_session(store: Store, model: str, key: str, tag: str, modified: float, by: str) -> UploadSession:
    """The session of a file that appeared in the inbox: the same one for every event about the same object.

    tag: the object's version or ETag. modified: seconds since the epoch.
    """
    # storage events are delivered at least once: the id comes from the object, so that a second one opens no upload
    mark = hashlib.sha256(f"{key}\n{tag}\n{modified}".encode()).hexdigest()[:16]
    upload = new_id(modified, mark)
    files = [File("model.onnx")]
    return _write(
        store,
        UploadSession(upload_id=upload, model=model, by=by, created_at=now(), files=files, keys={"model.onnx": key}),
    )


def _write(store: Store, session: UploadSession) -> UploadSession:
    try:
        body = msgspec.json.encode(session)
        store.put(keys.upload_session(session.upload_id), body, if_absent=True, content_type="application/json")
    except AlreadyExists:
        session = read_session(store, session.upload_id)
    # also for a session that was there: whoever wrote it may have died before it wrote the state
    _create_state(store, session)
    return session


def _create_state(store: Store, session: UploadSession) -> None:
    state = Upload(
        upload_id=session.upload_id,
        model=session.model,
        state="waiting",
        by=session.by,
        created_at=session.created_at,
        updated_at=session.created_at,
        files=session.files,
    )
    try:
        body = msgspec.json.encode(state)
        store.put(
            keys.upload_state(session.model, session.upload_id), body, if_absent=True, content_type="application/json"
        )
    except AlreadyExists:
        pass  # an earlier call wrote it, and it may have advanced since


def read_session(store: Store, upload: str) -> UploadSession:
    """Raises NotFound."""
    try:
        body = store.get(keys.upload_session(upload)).body
        return formats.decode(SESSION, body, f"the session of upload {upload!r}")
    except ObjectNotFound:
        raise NotFound(
            f"there is no upload {upload!r}: upload sessions expire after some days; "
            "GET /models/{model}/uploads keeps the outcome"
        ) from None


def read(store: Store, upload: str) -> Upload:
    """Raises NotFound."""
    session = read_session(store, upload)
    return _state(store.get(keys.upload_state(session.model, upload)).body, upload)


def _state(body: bytes, upload: str) -> Upload:
    return formats.decode(UPLOAD, body, f"the state of upload {upload!r}")


def list_by_model(
    store: Store, model: str, *, limit: int = 100, after: str | None = None
) -> tuple[list[Upload], str | None]:
    """A model's uploads, oldest first, and the cursor of the next page. An unknown model has none."""
    start = keys.upload_state(model, after) if after else ""
    page = store.list_page(keys.upload_states(model), after=start, limit=limit)
    uploads = [_state(store.get(info.key).body, info.key.rpartition("/")[2]) for info in page.objects]
    return uploads, uploads[-1].upload_id if page.next and uploads else None


def advance(
    store: Store,
    session: UploadSession,
    state: State,
    *,
    version: int | None = None,
    code: str | None = None,
    reason: str | None = None,
) -> Upload:
    """Set an upload's state. If it is final already, returns the final state unchanged."""
    key = keys.upload_state(session.model, session.upload_id)
    while True:
        present = store.get(key)
        upload = _state(present.body, session.upload_id)
        if upload.state in FINAL:
            return upload
        advanced = msgspec.structs.replace(
            upload, state=state, updated_at=now(), version=version, code=code, reason=reason
        )
        try:
            store.put(key, msgspec.json.encode(advanced), if_match=present.etag, content_type="application/json")
            return advanced
        except PreconditionFailed:
            continue  # another worker on the same upload was faster: read what it wrote


def list_stalled(store: Store, older_than: float, current_time: float) -> list[UploadSession]:
    """Complete uploads without a verdict, whose last file came more than `older_than` seconds before `current_time`.

    Their storage event was lost, or every attempt to check them was interrupted. Uploads expire after some days.
    """
    stalled = []
    last_arrivals: dict[str, float] = {}
    for info in list_all(store, "uploads/"):
        upload = info.key.split("/")[1]
        last_arrivals[upload] = max(last_arrivals.get(upload, 0), info.modified)
    for upload, last_arrival in last_arrivals.items():
        if current_time - last_arrival <= older_than or not keys.is_upload(upload):
            continue
        try:
            session = read_session(store, upload)
            state = read(store, upload).state
        except (NotFound, ObjectNotFound, formats.TooNew):
            continue  # expired since the listing, half written, or of a later release
        if state not in FINAL and not missing_files(store, session):
            stalled.append(session)
    return stalled


def missing_files(store: Store, session: UploadSession) -> list[str]:
    """Names of announced files that have not arrived yet."""
    folder = f"uploads/{session.upload_id}/files/"
    present = {info.key for info in list_all(store, folder)}
    # a file of the inbox is not in this folder; its event is what opened the session, so it has arrived
    return [name for name, key in session.keys.items() if key.startswith(folder) and key not in present]
