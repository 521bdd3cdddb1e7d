"""Uploads of all models, as long as their sessions are there: some days. Those of no model are found here alone."""

from __future__ import annotations

from collections.abc import Callable

from shared import keys
from shared.errors import BadInput
from shared.formats import DAMAGED
from shared.storage.base import Store, get_many
from shared.uploads.forms import SESSION, UPLOAD, Upload, UploadSession

SCANNED = 1000  # sessions that one page looks at, at most: two reads each
MISSING = b""


def page(
    store: Store, permitted: Callable[[str], bool], *, limit: int = 100, after: str | None = None
) -> tuple[list[Upload], str | None]:
    """Uploads in the order of their ids, which begin with their times, and the cursor of the next page.

    permitted: of a model's name, whether its uploads may be seen. A page may have fewer than `limit`, and yet a next.
    """
    found: list[Upload] = []
    scanned, token, cursor = 0, None, after
    # behind all keys of one upload, and before those of any other
    start = f"{keys.upload_objects(after)[:-1]}0" if after else ""
    while True:
        listed = store.list_page(keys.UPLOADS, delimiter="/", after=start, token=token, limit=limit)
        ids = [prefix.split("/")[1] for prefix in listed.prefixes]
        for upload_id, upload in zip(ids, _read(store, ids, permitted), strict=True):
            scanned, cursor = scanned + 1, upload_id
            found += [upload] if upload else []
            if len(found) == limit:
                last = upload_id == ids[-1] and not listed.next
                return found, None if last else cursor
        token = listed.next
        if not token or scanned >= SCANNED:
            return found, cursor if token else None


def _read(store: Store, ids: list[str], permitted: Callable[[str], bool]) -> list[Upload | None]:
    """The uploads of sessions; None where it may not be seen, has no state yet, or is of a later release."""
    valid = [one for one in ids if keys.is_upload(one)]
    bodies = get_many(store, [keys.upload_session(one) for one in valid], missing=MISSING)
    sessions = [
        session
        for one, body in zip(valid, bodies, strict=True)
        if (session := _session(body.body, one)) and permitted(session.model)
    ]
    states = get_many(store, [keys.upload_state(one.model, one.upload_id) for one in sessions], missing=MISSING)
    uploads = {one.upload_id: _state(body.body, one) for one, body in zip(sessions, states, strict=True)}
    return [uploads.get(one) for one in ids]


def _session(body: bytes, upload_id: str) -> UploadSession | None:
    try:
        session = SESSION.decode(body)
        keys.upload_state(session.model, upload_id)  # a container may have written any name of a model
    except (BadInput, *DAMAGED):
        return None
    return session if session.upload_id == upload_id else None


def _state(body: bytes, session: UploadSession) -> Upload | None:
    try:
        upload = UPLOAD.decode(body)
    except DAMAGED:  # or there is none yet
        return None
    return upload if (upload.model, upload.upload_id) == (session.model, session.upload_id) else None
