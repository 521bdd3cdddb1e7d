"""Upload sessions are opened, and the state of each upload moves. What is stored: forms.py.

The state moves waiting → checking → registered | rejected | failed | expired and never leaves an end state, however
often and in whatever order storage events arrive; only an operator's redrive (redrive.py) opens a failed one again.
Every upload ends: its attempts are counted here, before each check starts, and unfinished.py finds what nobody ended.
While an upload has no end state, an empty marker lies under `unfinished/`: what is unfinished is one listing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from shared import formats, keys
from shared.clock import new_id, now
from shared.errors import AmaasError, NotFound
from shared.formats import Damaged
from shared.storage.base import AlreadyExists, ObjectNotFound, PreconditionFailed, Store, list_all
from shared.uploads.forms import FINAL, SESSION, UPLOAD, Deletion, File, Named, State, Upload, UploadSession, first


def open_session(
    store: Store, model: str, files: list[File], by: str, upload: str | None = None, name: str | None = None
) -> UploadSession:
    """Open an upload session for files of known names. by, name: the caller's token, and what it is called.

    upload: the id to use. Who repeats the call with it gets the session, and the files, of the first call.
    """
    upload = upload or new_id()
    own = {file.name: keys.upload_file(upload, file.name) for file in files}
    opened = UploadSession(upload_id=upload, model=model, by=by, name=name, created_at=now(), files=files, keys=own)
    return write_session(store, opened)


def write_session(store: Store, session: UploadSession) -> UploadSession:
    """Write a session and the first state of its upload; the one that is there already, if there is one."""
    try:
        body = msgspec.json.encode(session)
        store.put(keys.upload_session(session.upload_id), body, if_absent=True, content_type="application/json")
    except AlreadyExists:
        session = read_session(store, session.upload_id)
        try:
            store.head(keys.upload_state(session.model, session.upload_id))
        except ObjectNotFound:  # whoever wrote the session died before it wrote the state
            _create_state(store, session)
        return session
    _create_state(store, session)
    return session


def _create_state(store: Store, session: UploadSession) -> None:
    """The marker comes first: a state that nobody would find again could never end."""
    store.put(keys.unfinished(session.model, session.upload_id), b"")
    key = keys.upload_state(session.model, session.upload_id)
    try:
        store.put(key, msgspec.json.encode(first(session)), if_absent=True, content_type="application/json")
    except AlreadyExists:  # restored from a copy, or another call wrote it, and it may have ended since
        if read_state(store, session).state in FINAL:
            _unmark(store, session)


def read_session(store: Store, upload: str) -> UploadSession:
    """Raises NotFound, also for a session that says it is another upload's: its key alone says whose it is."""
    try:
        body = store.get(keys.upload_session(upload)).body
        session = formats.decode(SESSION, body, f"the session of upload {upload!r}")
    except ObjectNotFound:
        session = None
    if session is None or session.upload_id != upload:
        raise NotFound(
            f"there is no upload {upload!r}: upload sessions expire after some days; "
            "GET /models/{model}/uploads keeps the outcome"
        )
    return session


def read(store: Store, upload: str) -> Upload:
    """Raises NotFound."""
    return read_state(store, read_session(store, upload))


def read_state(store: Store, named: Named) -> Upload:
    """Raises ObjectNotFound."""
    return decode(store.get(keys.upload_state(named.model, named.upload_id)).body, named.model, named.upload_id)


def decode(body: bytes, model: str, upload_id: str) -> Upload:
    """model, upload_id: those of the key, which a state must repeat. Raises TooNew, Damaged."""
    upload = formats.decode(UPLOAD, body, f"the state of upload {upload_id!r}")
    if (upload.model, upload.upload_id) != (model, upload_id):
        raise Damaged(f"the state of upload {upload_id!r} is another's: restore an earlier version of the object")
    return upload


def advance(
    store: Store,
    named: Named,
    state: State,
    *,
    version: int | None = None,
    code: str | None = None,
    reason: str | None = None,
) -> Upload:
    """Set an upload's state. If it is final already, returns the final state unchanged."""
    return update(store, named, lambda upload: moved(upload, state, version=version, code=code, reason=reason))


def moved(
    upload: Upload,
    state: State,
    *,
    version: int | None = None,
    code: str | None = None,
    reason: str | None = None,
) -> Upload:
    """The same upload in another state, with no check running."""
    stored, ending = ("rejected", state) if state in ("failed", "expired") else (state, None)
    changes = {"stored_state": stored, "ending": ending, "version": version, "code": code, "reason": reason}
    return replace(upload, **changes, lease=None)


def update(store: Store, named: Named, change: Callable[[Upload], Upload]) -> Upload:
    """Replace an upload's state by what `change` makes of it; an end state stays. Raises ObjectNotFound.

    But for a version that was registered although the upload had been given up: that there is one is certain.
    """
    key = keys.upload_state(named.model, named.upload_id)
    while True:
        present = store.get(key)
        upload = decode(present.body, named.model, named.upload_id)
        changed = change(upload)
        registered = upload.ending and changed.state == "registered"
        if changed == upload or (upload.state in FINAL and not registered):
            return upload
        changed = replace(changed, updated_at=now())
        if not _replaced(store, key, present.etag, changed):
            continue
        if changed.state in FINAL:
            _unmark(store, named)
        return changed


def reopen(store: Store, named: Named) -> Upload:
    """Have an upload checked anew, with all its attempts, if it failed or has not ended. Returns its state."""
    store.put(keys.unfinished(named.model, named.upload_id), b"")  # first: see _create_state
    key = keys.upload_state(named.model, named.upload_id)
    while True:
        present = store.get(key)
        upload = decode(present.body, named.model, named.upload_id)
        if upload.state in FINAL and upload.state != "failed":
            _unmark(store, named)
            return upload
        opened = replace(moved(upload, "waiting"), attempts=0, updated_at=now())
        if _replaced(store, key, present.etag, opened):
            return opened


def note_deletion(store: Store, named: Named, deletion: Deletion) -> Upload:
    """Note that the files of an ended upload were deleted. The first note stays."""
    key = keys.upload_state(named.model, named.upload_id)
    while True:
        present = store.get(key)
        upload = decode(present.body, named.model, named.upload_id)
        noted = replace(upload, deletion=upload.deletion or deletion)
        if noted == upload or _replaced(store, key, present.etag, noted):
            return noted


def _replaced(store: Store, key: str, etag: str, upload: Upload) -> bool:
    """False if another worker on the same upload was faster."""
    try:
        store.put(key, msgspec.json.encode(upload), if_match=etag, content_type="application/json")
    except PreconditionFailed:
        return False
    return True


def _unmark(store: Store, named: Named) -> None:
    """A marker that stays behind is removed by the next look for unfinished uploads."""
    with contextlib.suppress(AmaasError):
        store.delete(keys.unfinished(named.model, named.upload_id))


def missing_files(store: Store, session: UploadSession) -> list[str]:
    """Names of announced files that have not arrived yet."""
    folder = f"{keys.upload_objects(session.upload_id)}files/"
    present = {info.key for info in list_all(store, folder)}
    # a file of the inbox is not in this folder; its event is what opened the session, so it has arrived
    return [name for name, key in session.keys.items() if key.startswith(folder) and key not in present]
