"""From a storage event to a registered version or a rejection: fetch → check → store blobs → register.

Every step may run twice, out of order, or be interrupted: blobs are content-addressed, the registration is idempotent
by upload, and an upload's final state never changes. A run that meets a final state stops.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from shared import keys
from shared.config import Config, MiB
from shared.errors import AmaasError, BadInput, NotFound, Unavailable
from shared.ingest.candidate import Rejected, check_package, read_manifest, store_blobs
from shared.ingest.verdict import Limits
from shared.package import bounds, processing
from shared.package.manifest import Manifest
from shared.registry import models, versions
from shared.registry.log import Log
from shared.registry.state import Change, Version
from shared.storage.base import ObjectNotFound, Store, list_all
from shared.uploads import states
from shared.uploads.sessions import MANIFEST_FILE
from shared.uploads.states import Upload, UploadSession

logger = logging.getLogger(__name__)

PATIENCE = 15 * 60.0  # seconds: longer than all deliveries of an event take
MAX_EXTRA_FILE = 64 * MiB  # of a tokenizer, or of reference rows
INBOX_HORIZON = 6 * 86400.0  # seconds: a file that has waited longer in the inbox was given up on
MAX_PER_LOOK = 20  # uploads: each takes up to limits.wall seconds of one invocation


def on_object(log: Log, config: Config, raw_key: str, detail: dict[str, Any], limits: Limits) -> Upload | None:
    """Handle one ObjectCreated event; None when the object starts nothing (yet)."""
    try:
        session = _read_session(log.store, raw_key, detail)
    except (NotFound, BadInput) as error:
        logger.warning("object ignored", extra={"key": raw_key, "why": str(error)})
        return None
    if session is None or states.missing_files(log.store, session):
        return None
    return ingest(log, config, session, limits)


def check_unfinished(log: Log, config: Config, limits: Limits, patience: float = PATIENCE) -> list[Upload]:
    """Check uploads that no event led to a verdict: lost events, and uploads whose every check was interrupted.

    patience: seconds since the last file arrived. 0 is right after an outage of the store, when no event is on its way;
    an upload that is being checked is then checked twice, and registered once. At most MAX_PER_LOOK a call. An error on
    one upload is logged and does not stop the others: the next look tries that upload again.
    """
    ended = []
    sessions = [*_inbox_without_event(log.store, patience), *states.list_stalled(log.store, patience, time.time())]
    for session in list({session.upload_id: session for session in sessions}.values())[:MAX_PER_LOOK]:
        try:
            ended.append(ingest(log, config, session, limits))
        except AmaasError as error:
            logger.warning("still without a verdict", extra={"upload": session.upload_id, "why": str(error)})
        except Exception:  # a fault of ours that one upload brings out must not block the uploads behind it
            logger.exception("still without a verdict", extra={"upload": session.upload_id})
    return ended


def _inbox_without_event(store: Store, patience: float) -> list[UploadSession]:
    """Sessions of models in the inbox whose event never arrived."""
    sessions = []
    for info in list_all(store, "inbox/"):
        event_key = keys.parse_event_key(quote_plus(info.key))
        recent = patience < time.time() - info.modified < INBOX_HORIZON
        if event_key is None or not recent or not keys.is_model(event_key[1]):
            continue
        session = states.open_inbox_session(store, event_key[1], info.key, info.etag, info.modified, "inbox")
        if states.read(store, session.upload_id).state not in states.FINAL:
            sessions.append(session)
    return sessions


def _read_session(store: Store, raw_key: str, detail: dict[str, Any]) -> UploadSession | None:
    """The upload that an object belongs to; None for an object outside of uploads and inbox."""
    event_key = keys.parse_event_key(raw_key)
    if event_key is None:
        return None
    way, owner, name = event_key
    if way == "upload":
        return states.read_session(store, owner)
    model, key = keys.model_name(owner), f"inbox/{owner}/{name}"
    info = store.head(key)
    return states.open_inbox_session(store, model, key, info.etag, info.modified, str(detail.get("principal", "inbox")))


def ingest(log: Log, config: Config, session: UploadSession, limits: Limits) -> Upload:
    """Bring a complete upload to its final state. Raises what interrupted the check, after noting it in the state."""
    upload = states.advance(log.store, session, "checking")
    if upload.state in states.FINAL:
        return upload
    try:
        version = _register(log, config, session, limits)
    except Rejected as rejection:
        logger.info("rejected", extra={"upload": session.upload_id, "code": rejection.code, "why": str(rejection)})
        return states.advance(log.store, session, "rejected", code=rejection.code, reason=str(rejection))
    except Exception as error:
        # not the package's fault: the event is delivered again; meanwhile the upload's state says why it takes longer
        logger.exception("interrupted", extra={"upload": session.upload_id})
        with contextlib.suppress(AmaasError):
            why = (
                f"the check was interrupted ({type(error).__name__}) and will be retried; if this persists, push again"
            )
            states.advance(log.store, session, "checking", code="interrupted", reason=why)
        raise
    return states.advance(log.store, session, "registered", version=version.version)


def _reject_deleted_model(log: Log, session: UploadSession) -> None:
    """A push must not undelete a model silently, as its older versions would stay out of reach."""
    head = log.read(session.model)
    if models.reserved(head) and versions.of_upload(log, head, session.upload_id) is None:
        raise Rejected(
            "deleted",
            f"the model {session.model!r} was deleted on {head.deleted}: restore it first "
            f"(`amaas restore {session.model}`, by an admin), or push under another name; a week after its deletion "
            "the name is free",
        )


def _register(log: Log, config: Config, session: UploadSession, limits: Limits) -> Version:
    _reject_deleted_model(log, session)
    with tempfile.TemporaryDirectory(prefix="amaas-ingest-") as folder:
        files = _fetch(log.store, config, session, Path(folder))
        candidate = check_package(session.model, _read_manifest(session, files, limits), files, limits, Path(folder))
    # blobs are written only when every check has passed: a rejected package leaves nothing behind
    return versions.register(log, session.model, store_blobs(log, candidate, session.upload_id), Change(by=session.by))


def _fetch(store: Store, config: Config, session: UploadSession, folder: Path) -> dict[str, Path]:
    """Download the package's files. All checks use these copies: the objects may be overwritten meanwhile."""
    files = {}
    for file in session.files:
        key = session.keys[file.name]
        try:
            size = store.head(key).size
            most = bounds.MAX_BYTES if file.name == MANIFEST_FILE else config.max_upload_bytes
            if size > most:
                raise Rejected(
                    "too_large",
                    f"{file.name} has {size:,} bytes, more than the {most:,} that are allowed; make it smaller",
                )
            path = folder / keys.file_name(file.name)
            digest = store.download(key, str(path))
        except ObjectNotFound as error:
            raise Unavailable(f"{key} was removed while it was read; the event will be delivered again") from error
        if file.sha256 not in (None, digest):
            raise Rejected(
                "digest_mismatch",
                f"{file.name} arrived with SHA-256 {digest}, but {file.sha256} was announced; upload it again",
            )
        files[file.name] = path
    return files


def _read_manifest(session: UploadSession, files: dict[str, Path], limits: Limits) -> Manifest:
    if MANIFEST_FILE not in files:
        return Manifest(name=session.model)
    declared = read_manifest(files[MANIFEST_FILE], limits)
    for name in processing.files(declared.preprocess):
        if name not in files:
            raise Rejected("bad_manifest", f"amaas.json names the file {name!r}, which is not in the package; add it")
        if files[name].stat().st_size > MAX_EXTRA_FILE:
            raise Rejected(
                "too_large",
                f"{name} has more than {MAX_EXTRA_FILE:,} bytes, the limit for files beside the model; make it smaller",
            )
    return declared
