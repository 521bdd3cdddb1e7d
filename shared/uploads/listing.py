"""Lists of uploads, newest first: of a model, whose outcomes are kept; and of all, as long as their sessions are there.

Ids begin with their times, those of training jobs behind a word of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from shared import keys
from shared.errors import BadInput
from shared.formats import DAMAGED
from shared.groups import in_groups
from shared.storage.base import Store, get_many, list_all, list_folders
from shared.uploads import states
from shared.uploads.forms import SESSION, UPLOAD, Upload, UploadSession

SCANNED = 1000  # sessions that one page looks at, at most: two reads each
BLOCK = 100  # of them, that are read at the same time
MISSING = b""


def of_model(
    store: Store, model: str, *, limit: int = 100, after: str | None = None
) -> tuple[list[Upload], str | None]:
    """A model's uploads, and the cursor of the next page. An unknown model has none."""
    names = (info.key.rpartition("/")[2].removesuffix(".json") for info in list_all(store, keys.upload_states(model)))
    following = _following(filter(keys.is_upload, names), after)
    ids = following[:limit]
    bodies = get_many(store, [keys.upload_state(model, one) for one in ids], missing=MISSING)
    uploads = [states.decode(one.body, model, upload) for upload, one in zip(ids, bodies, strict=True) if one.body]
    return uploads, ids[-1] if len(following) > limit else None


def recent(
    store: Store, permitted: Callable[[str], bool], *, limit: int = 100, after: str | None = None
) -> tuple[list[Upload], str | None]:
    """Uploads of all models, and of none, and the cursor of the next page.

    permitted: of a model's name, whether its uploads may be seen. A page may have fewer than `limit`, and yet a next.
    """
    following = _following(filter(keys.is_upload, list_folders(store, keys.UPLOADS)), after)
    uploads: list[Upload] = []
    for block in in_groups(following[:SCANNED], BLOCK):
        for upload_id, upload in zip(block, _read(store, block, permitted), strict=True):
            uploads += [upload] if upload else []
            if len(uploads) == limit:
                return uploads, upload_id if upload_id != following[-1] else None
    return uploads, following[SCANNED - 1] if len(following) > SCANNED else None


def _following(ids: Iterable[str], after: str | None) -> list[str]:
    """Newest first, those behind `after`."""
    begin = None if after is None else _age(keys.upload_id(after))
    return sorted((one for one in ids if begin is None or _age(one) < begin), key=_age, reverse=True)


def _age(upload_id: str) -> tuple[str, str]:
    """Its time as ids have it; those without one, which only others than we have given, are the oldest."""
    timed = upload_id.removeprefix(keys.TRAINING_UPLOAD)
    return timed if keys.is_id(timed) else "", upload_id


def _read(store: Store, ids: list[str], permitted: Callable[[str], bool]) -> list[Upload | None]:
    """The uploads of sessions; None where it may not be seen, has no state yet, or is of a later release."""
    bodies = get_many(store, [keys.upload_session(one) for one in ids], missing=MISSING)
    sessions = [
        session
        for one, body in zip(ids, bodies, strict=True)
        if (session := _session(body.body, one)) and permitted(session.model)
    ]
    stored = get_many(store, [keys.upload_state(one.model, one.upload_id) for one in sessions], missing=MISSING)
    uploads = {one.upload_id: _state(body.body, one) for one, body in zip(sessions, stored, strict=True)}
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
