"""From a storage event to a version, or to a reason why not: fetch → examine → store blobs → commit.

Every step may run twice, or out of order, or be cut off: blobs are content-addressed, the registration is idempotent
by upload, and an upload's end state is never left again. Whoever finds the upload ended, stops.
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
from shared.ingest.candidate import Rejected, judge, store
from shared.ingest.verdict import Limits
from shared.package import manifest, processing
from shared.package.manifest import Manifest
from shared.registry import models, versions
from shared.registry.log import Log
from shared.registry.state import Act, Version
from shared.storage.base import ObjectNotFound, Store, list_all
from shared.uploads import states
from shared.uploads.sessions import MANIFEST_FILE
from shared.uploads.states import Upload, UploadSession

logger = logging.getLogger(__name__)

PATIENCE = 15 * 60.0  # longer than all deliveries of an event take
MOST_BESIDE = 64 * MiB  # of a tokenizer, or of reference rows
LOOKS_BACK = 6 * 86400.0
MOST_AT_ONCE = 20


def on_object(log: Log, config: Config, raw_key: str, detail: dict[str, Any], limits: Limits) -> Upload | None:
    """Handle one ObjectCreated event; None when the object starts nothing (yet)."""
    try:
        ticket = _ticket(log.store, raw_key, detail)
    except (NotFound, BadInput) as error:
        logger.warning("object ignored", extra={"key": raw_key, "why": str(error)})
        return None
    if ticket is None or states.missing_files(log.store, ticket):
        return None
    return ingest(log, config, ticket, limits)


def forgotten(log: Log, config: Config, limits: Limits, patience: float = PATIENCE) -> list[Upload]:
    """Check what no event led to a verdict: lost events, and uploads whose every check was interrupted.

    patience: seconds since the last file came. 0 is right after the store was away, when no event is on its way; an
    upload that is being checked is then checked twice, and registered once. At most MOST_AT_ONCE a call.
    """
    done = []
    tickets = [*_unnoticed(log.store, patience), *states.list_stalled(log.store, patience, time.time())]
    for ticket in list({ticket.upload_id: ticket for ticket in tickets}.values())[:MOST_AT_ONCE]:
        try:
            done.append(ingest(log, config, ticket, limits))
        except AmaasError as error:
            logger.warning("still without a verdict", extra={"upload": ticket.upload_id, "why": str(error)})
    return done


def _unnoticed(store: Store, patience: float) -> list[UploadSession]:
    """Tickets of files in the inbox that no event came for."""
    found = []
    for info in list_all(store, "inbox/"):
        place = keys.parse_event_key(quote_plus(info.key))
        recent = patience < time.time() - info.modified < LOOKS_BACK
        if place is None or not recent or not keys.is_model(place[1]):
            continue
        ticket = states.open_inbox_session(store, place[1], info.key, info.etag, info.modified, "inbox")
        if states.read(store, ticket.upload_id).state not in states.FINAL:
            found.append(ticket)
    return found


def _ticket(store: Store, raw_key: str, detail: dict[str, Any]) -> UploadSession | None:
    found = keys.parse_event_key(raw_key)
    if found is None:
        return None
    way, owner, name = found
    if way == "upload":
        return states.read_session(store, owner)
    model, key = keys.model_name(owner), f"inbox/{owner}/{name}"
    info = store.head(key)
    return states.open_inbox_session(store, model, key, info.etag, info.modified, str(detail.get("principal", "inbox")))


def ingest(log: Log, config: Config, ticket: UploadSession, limits: Limits) -> Upload:
    """Bring a complete upload to its end state."""
    upload = states.advance(log.store, ticket, "checking")
    if upload.state in states.FINAL:
        return upload
    try:
        version = _register(log, config, ticket, limits)
    except Rejected as refused:
        logger.info("rejected", extra={"upload": ticket.upload_id, "code": refused.code, "why": str(refused)})
        return states.advance(log.store, ticket, "rejected", code=refused.code, reason=str(refused))
    except Exception as error:
        # not the package's fault: the event is delivered again, and whoever asks meanwhile is told why it takes longer
        logger.exception("interrupted", extra={"upload": ticket.upload_id})
        with contextlib.suppress(AmaasError):
            why = f"the check was interrupted ({type(error).__name__}) and is tried again; if this stays, push again"
            states.advance(log.store, ticket, "checking", code="interrupted", reason=why)
        raise
    return states.advance(log.store, ticket, "registered", version=version.version)


def _check_name(log: Log, ticket: UploadSession) -> None:
    """A push must not undo a deletion by the way, with all of the model's versions out of reach."""
    head = log.read(ticket.model)
    if models.reserved(head) and versions.of_upload(log, head, ticket.upload_id) is None:
        raise Rejected(
            "deleted",
            f"the model {ticket.model!r} was deleted on {head.deleted}: restore it first "
            f"(`amaas restore {ticket.model}`, by an admin), or push under another name; a week after its deletion "
            "the name is free",
        )


def _register(log: Log, config: Config, ticket: UploadSession, limits: Limits) -> Version:
    _check_name(log, ticket)
    with tempfile.TemporaryDirectory(prefix="amaas-ingest-") as folder:
        files = _fetch(log.store, config, ticket, Path(folder))
        candidate = judge(ticket.model, _declared(ticket, files), files, limits, Path(folder))
    # nothing is written before every check has passed
    return versions.register(log, ticket.model, store(log, candidate, ticket.upload_id), Act(by=ticket.by))


def _fetch(store: Store, config: Config, ticket: UploadSession, folder: Path) -> dict[str, Path]:
    """Download the package's files; what is checked from here on are these bytes, whatever becomes of the objects."""
    files = {}
    for file in ticket.files:
        key = ticket.keys[file.name]
        try:
            size = store.head(key).size
            if size > config.max_upload_bytes:
                raise Rejected("too_large", f"{file.name} has {size:,} bytes, more than {config.max_upload_bytes:,}")
            path = folder / keys.file_name(file.name)
            digest = store.download(key, str(path))
        except ObjectNotFound as error:
            raise Unavailable(f"{key} went away while it was read; the event will be delivered again") from error
        if file.sha256 not in (None, digest):
            raise Rejected("digest_mismatch", f"{file.name} arrived with SHA-256 {digest}, announced was {file.sha256}")
        files[file.name] = path
    return files


def _declared(ticket: UploadSession, files: dict[str, Path]) -> Manifest:
    if MANIFEST_FILE not in files:
        return Manifest(name=ticket.model)
    try:
        declared = manifest.decode(files[MANIFEST_FILE].read_bytes(), spelling=True)
    except BadInput as error:
        raise Rejected("bad_manifest", str(error)) from error
    for name in processing.files(declared.preprocess):
        if name not in files:
            raise Rejected("bad_manifest", f"amaas.json names the file {name!r}, which is not in the package; add it")
        if files[name].stat().st_size > MOST_BESIDE:
            raise Rejected("too_large", f"{name} has more than the {MOST_BESIDE:,} bytes that such a file may have")
    return declared
