"""Deleting an upload's files at once, with all their versions. What became of the upload stays, with a receipt."""

from __future__ import annotations

import logging
from collections.abc import Callable

from msgspec.structs import asdict

from shared import keys
from shared.clock import now
from shared.errors import Conflict
from shared.storage.base import Purged, Store
from shared.uploads import attempts, forms, inbox, states
from shared.uploads.forms import Deletion, Upload

logger = logging.getLogger(__name__)


def delete(store: Store, upload_id: str, by: str, prepare: Callable[[Upload], None] = lambda deleted: None) -> Upload:
    """Delete the files of an upload; one without an end state ends as expired. Returns its state, with the receipt.

    A version that was registered stays: its blobs are the registry's. Raises NotFound; Conflict while it is checked.
    A call that was interrupted can be repeated: the session, by which the upload is found, is removed last. prepare: is
    given the state to return just before.
    """
    session = states.read_session(store, upload_id)
    upload = states.read_state(store, session)
    if upload.state not in forms.FINAL and attempts.leased(upload):
        raise Conflict(f"upload {upload_id!r} is being checked: delete it when that has ended, within minutes")
    states.advance(store, session, "expired", code="deleted", reason="its files were deleted before they were checked")
    purged = store.purge(f"{keys.upload_objects(upload_id)}files/")
    if inbox.is_inbox(session):
        purged += sum((store.purge(key) for key in session.keys.values()), Purged())
    receipt = Deletion(by, now(), **asdict(purged))
    noted = states.note_deletion(store, session, receipt)
    prepare(noted)
    store.purge(keys.upload_session(upload_id))
    extra = {"what": "upload", "upload": upload_id, "model": session.model, "by": by}
    logger.info("deleted", extra=extra | asdict(purged))
    return noted
