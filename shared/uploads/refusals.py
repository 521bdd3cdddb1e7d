"""What lies in the inbox and is no package: an upload that is rejected at once, so that somebody is told."""

from __future__ import annotations

import contextlib
import logging

import msgspec

from shared import keys, metrics
from shared.clock import new_id, now
from shared.storage.base import AlreadyExists, ObjectNotFound, Store
from shared.uploads import inbox, states
from shared.uploads.forms import File, Upload, UploadSession, first
from shared.uploads.inbox_packages import Refusal

logger = logging.getLogger(__name__)

MAX_NAME = 200  # characters of a file's name, as it is shown
MAX_SHOWN = 100  # files of one refusal


def refuse(store: Store, refusal: Refusal, by: str) -> Upload:
    """The rejected upload of these objects: the same one for every event and look."""
    known = inbox.known_uploads(store, refusal.model) if refusal.model else {}
    upload_id = known.get(refusal.mark) or new_id(int(refusal.modified), refusal.mark)
    objects = {info.key.rpartition("/")[2][:MAX_NAME]: info.key for info in refusal.objects[:MAX_SHOWN]}
    session = UploadSession(
        upload_id=upload_id,
        model=refusal.model,
        by=by,
        created_at=now(),
        files=[File(name) for name in objects],
        keys=objects,
    )
    try:
        upload = states.read_state(store, session)  # of an earlier event
    except ObjectNotFound:
        upload = _write_state(store, session, refusal)
    with contextlib.suppress(AlreadyExists):  # last: by it, looks take the objects for known
        body = msgspec.json.encode(session)
        store.put(keys.upload_session(upload_id), body, if_absent=True, content_type="application/json")
    return upload


def _write_state(store: Store, session: UploadSession, refusal: Refusal) -> Upload:
    upload = first(session, "rejected", code=refusal.code, reason=refusal.reason)
    key = keys.upload_state(session.model, session.upload_id)
    try:
        store.put(key, msgspec.json.encode(upload), if_absent=True, content_type="application/json")
    except AlreadyExists:  # another event's, at the same time
        return states.read_state(store, session)
    logger.warning("inbox object refused", extra={"key": upload.inbox_key, "code": refusal.code})
    metrics.emit("InboxRefused", 1, service="ingest")
    return upload
