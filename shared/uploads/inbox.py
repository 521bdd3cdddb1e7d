"""The inbox: models that come with any S3 client, as inbox/{model}/{file}. Each object opens one upload session."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from urllib.parse import quote_plus

from shared import keys
from shared.clock import new_id, now
from shared.errors import NotFound
from shared.formats import DAMAGED
from shared.storage.base import ObjectInfo, Store, list_all
from shared.uploads import states
from shared.uploads.sessions import MODEL_FILE
from shared.uploads.states import UPLOAD, File, UploadSession

HORIZON = 6 * 86400.0  # seconds: below the life of sessions (template.yaml), by which a known object is recognized


def open_session(store: Store, model: str, key: str, tag: str, modified: float, by: str) -> UploadSession:
    """The session of an object of the inbox: the same one for every event about the same content under the same key.

    tag: the object's ETag. modified: seconds since the epoch.
    """
    # Storage events are delivered at least once, and a bucket may be restored from a copy: the upload is known by key
    # and content. Times do not decide: HEAD has whole seconds, LIST may have milliseconds, a copy has others.
    mark = _mark(key, tag)
    upload = _known_id(store, model, mark)
    if upload is None:
        upload = new_id(int(modified), mark)
        # before the session: whoever dies behind it leaves an object that every look takes for known
        store.put(keys.unfinished(model, upload), b"")
    session = UploadSession(
        upload_id=upload, model=model, by=by, created_at=now(), files=[File(MODEL_FILE)], keys={MODEL_FILE: key}
    )
    return states.write_session(store, session)


def without_session(store: Store, older_than: float, current_time: float) -> Iterator[tuple[str, ObjectInfo]]:
    """Models and objects of the inbox whose event never arrived, though it had `older_than` seconds to."""
    recent = []
    for info in list_all(store, keys.INBOX):
        event_key = keys.parse_event_key(quote_plus(info.key))
        waited = current_time - info.modified
        if event_key is not None and older_than < waited < HORIZON and keys.is_model(event_key[1]):
            recent.append((event_key[1], info))
    if recent:
        opened = {upload.rpartition("-")[2] for upload in session_ids(store) if keys.is_id(upload)}
        yield from ((model, info) for model, info in recent if _mark(info.key, info.etag) not in opened)


def is_inbox(session: UploadSession) -> bool:
    """Whether a session is of one object of its model's inbox. One that a container may have written never is."""
    folder = f"{keys.INBOX}{session.model}/"
    plain = [file.name for file in session.files] == list(session.keys) == [MODEL_FILE]
    return plain and keys.is_id(session.upload_id) and session.keys[MODEL_FILE].startswith(folder)


def brought(store: Store, session: UploadSession, upload: str) -> bool:
    """Whether an earlier upload of the same model brought the object under the same key."""
    try:
        earlier = UPLOAD.decode(store.get(keys.upload_state(session.model, upload)).body)
    except (NotFound, *DAMAGED):
        return False
    return earlier.inbox_key in session.keys.values()


def arrived(store: Store, session: UploadSession) -> float | None:
    """When the object came, in seconds since the epoch; None if it is gone."""
    try:
        return max(store.head(key).modified for key in session.keys.values())
    except NotFound:
        return None


def _mark(key: str, tag: str) -> str:
    return hashlib.sha256(f"{key}\n{tag.strip(chr(34))}".encode()).hexdigest()[:16]


def _known_id(store: Store, model: str, mark: str) -> str | None:
    prefix = keys.upload_states(model)
    ids = (info.key.removeprefix(prefix).removesuffix(".json") for info in list_all(store, prefix))
    return next((upload for upload in ids if upload.endswith(f"-{mark}") and keys.is_id(upload)), None)


def session_ids(store: Store) -> Iterator[str]:
    """Ids of all sessions that have not expired, those of pushed packages included."""
    token = None
    while True:
        page = store.list_page(keys.UPLOADS, delimiter="/", token=token)
        yield from (prefix.split("/")[1] for prefix in page.prefixes)
        token = page.next
        if not token:
            return
