"""From a storage event to a registered version or a rejection: fetch → check → store blobs → register.

Every step may run twice, out of order, or be interrupted: blobs are content-addressed, the registration is idempotent
by upload, and an upload's final state never changes. A run that meets a final state stops.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import math
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from shared import keys, metrics
from shared.config import Config
from shared.errors import AmaasError, BadInput, NotFound, Unavailable
from shared.ingest import archives, arrivals
from shared.ingest.candidate import Rejected, check_package, read_declared, store_blobs
from shared.ingest.verdict import Limits
from shared.jobs.training import job as training_jobs
from shared.package import bounds
from shared.registry import models, versions
from shared.registry.log import Log
from shared.registry.state import Change, Version
from shared.storage.base import ObjectNotFound, Store
from shared.uploads import attempts, forms, inbox, sessions, states, unfinished
from shared.uploads.forms import Upload, UploadSession
from shared.uploads.quiet import QuietFolder, Timer
from shared.uploads.sessions import MANIFEST_FILE, MODEL_FILE

logger = logging.getLogger(__name__)

PATIENCE = unfinished.PATIENCE


class FilesGone(Exception):
    """A file was removed between its arrival and the check."""


def on_object(
    log: Log, config: Config, raw_key: str, detail: dict[str, Any], limits: Limits, timer: Timer | None = None
) -> Upload | None:
    """Handle one ObjectCreated event; None when the object starts nothing (yet).

    timer: of the inbox; without it, a folder there is taken as soon as it lacks nothing.
    """
    key = keys.decode_event_key(raw_key)
    try:
        if key.startswith(keys.INBOX):
            by = str(detail.get("principal", "inbox"))
            return next(iter(_checked(log, config, arrivals.on_event(log.store, key, by, limits, timer), limits)), None)
        named = keys.parse_upload_file(key)
        session = states.read_session(log.store, named[0]) if named else None
    except (NotFound, BadInput) as error:
        logger.warning("object ignored", extra={"error": type(error).__name__})
        return None
    if session is None or states.missing_files(log.store, session):
        return None
    return ingest(log, config, session, limits)


def on_quiet(log: Log, config: Config, folder: QuietFolder, limits: Limits, timer: Timer | None) -> list[Upload]:
    """Handle the end of a timer of the inbox. Returns the uploads that came of it."""
    return _checked(log, config, arrivals.on_quiet(log.store, folder, limits, timer), limits)


def _checked(log: Log, config: Config, arrival: arrivals.Arrival, limits: Limits) -> list[Upload]:
    return [*(ingest(log, config, session, limits) for session in arrival.sessions), *arrival.refused]


def check_unfinished(
    log: Log, config: Config, limits: Limits, patience: float = PATIENCE, seconds: float = math.inf
) -> list[Upload]:
    """Bring uploads on that no event led to an end: lost events, killed checks, files that never came.

    Returns those that ended.

    patience: seconds since the last file arrived. 0 is right after an outage of the store, when no event is on its way;
    an upload that is being checked is then checked twice, and registered once. seconds: no check is begun after them;
    the next look begins with those that had the fewest attempts. An error on one upload never ends the look.
    """
    deadline = time.monotonic() + seconds
    arrivals.overlooked(log.store, patience, time.time())
    ended = []
    entries = unfinished.listed(log.store)
    for position, entry in enumerate(entries):
        if time.monotonic() > deadline:
            logger.info("left for the next look", extra={"uploads": len(entries) - position})
            break
        try:
            upload = _bring_on(log, config, entry, limits, patience)
        except AmaasError as error:
            extra = {"upload": entry.upload_id, "error": type(error).__name__}
            logger.warning("still without a verdict", extra=extra)
            continue
        except Exception:  # a fault of ours that one upload brings out must not block the uploads behind it
            logger.exception("still without a verdict", extra={"upload": entry.upload_id})
            continue
        ended += [upload] if upload is not None and upload.state in forms.FINAL else []
    return ended


def _bring_on(log: Log, config: Config, entry: unfinished.Unfinished, limits: Limits, patience: float) -> Upload | None:
    """What one look does for one upload; its state if that was changed."""
    judgment = unfinished.judge(log.store, entry, patience, time.time())
    if judgment.action == "check" and judgment.session:
        return ingest(log, config, judgment.session, limits)
    if judgment.action == "expire":
        return _ended(states.advance(log.store, entry, "expired", code=judgment.code, reason=judgment.reason))
    if judgment.action == "forget":
        log.store.delete(keys.unfinished(entry.model, entry.upload_id))
    return None


def ingest(log: Log, config: Config, session: UploadSession, limits: Limits) -> Upload:
    """Bring a complete upload to its end. Raises what interrupted the check, after noting it in the state.

    After the last attempt nothing is raised: the upload has ended as failed.
    """
    upload = attempts.begin(log.store, session)
    if upload.state in forms.FINAL:
        return _ended(upload)
    try:
        version = _register(log, config, session, limits)
    except Rejected as rejection:
        logger.info("rejected", extra={"upload": session.upload_id, "code": rejection.code})
        return states.advance(log.store, session, "rejected", code=rejection.code, reason=str(rejection))
    except FilesGone as error:
        return _ended(states.advance(log.store, session, "expired", code="files_gone", reason=str(error)))
    except Exception as error:
        # not the package's fault: it is checked again; meanwhile the upload's state says why it takes longer
        logger.exception("interrupted", extra={"upload": session.upload_id, "attempt": upload.attempts})
        with contextlib.suppress(AmaasError):
            upload = attempts.interrupt(log.store, session, type(error).__name__)
            if upload.state in forms.FINAL:
                return _ended(upload)
        raise
    return states.advance(log.store, session, "registered", version=version.version)


def _ended(upload: Upload) -> Upload:
    """Report an upload that ended without a verdict: an operator has to know."""
    if upload.state == "failed":
        metrics.emit("UploadsFailed", 1, service="ingest")
    if upload.state in ("failed", "expired"):
        logger.warning("ended without a verdict", extra={"upload": upload.upload_id, "code": upload.code})
    return upload


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


def _change(log: Log, session: UploadSession) -> Change:
    """Who registers a version. Raises Rejected.

    A training container writes its session itself: it may choose neither model, nor whose files these are, nor a name.
    """
    job = None
    try:
        job = training_jobs.of_upload(log.store, session.upload_id)
        genuine = job is None or (job.model, job.by) == (session.model, session.by)
    except NotFound:
        genuine = False
    if not genuine or not (sessions.has_own_files(session) or inbox.is_inbox(session)):
        raise Rejected(
            "not_of_its_job",
            f"this upload is announced for the model {session.model!r}, and is not what the training job of its id "
            "sends: train again",
        )
    return Change(by=session.by, name=session.name if job is None else None)


def _register(log: Log, config: Config, session: UploadSession, limits: Limits) -> Version:
    change = _change(log, session)
    _reject_deleted_model(log, session)
    with tempfile.TemporaryDirectory(prefix="amaas-ingest-") as folder:
        files = _fetch(log.store, config, session, Path(folder), limits)
        if inbox.is_inbox(session) and (known := _known_version(log, session, files)):
            return known
        declared = read_declared(session.model, files, limits)
        candidate = check_package(session.model, declared, files, limits, Path(folder))
        # blobs are written only when every check has passed: a rejected package leaves nothing behind
        version = store_blobs(log, candidate, session.upload_id)
    return versions.register(log, session.model, version, change)


def _known_version(log: Log, session: UploadSession, files: dict[str, Path]) -> Version | None:
    """The version that a package of the inbox is already: its bucket was restored from a copy, or it was put again.

    What its files are is noted in the upload's state, for the next one.
    """
    digests = {name: _digest(path) for name, path in files.items()}
    for version in log.read(session.model).versions.values():
        if version.source == digests.get(MODEL_FILE) and inbox.brought(log.store, session, version.upload, digests):
            return version
    noted = [forms.File(name, path.stat().st_size, digests[name]) for name, path in files.items()]
    states.update(log.store, session, lambda upload: replace(upload, files=noted))
    return None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch(store: Store, config: Config, session: UploadSession, folder: Path, limits: Limits) -> dict[str, Path]:
    """Download the package's files. All checks use these copies: the objects may be overwritten meanwhile."""
    files = {}
    try:
        _require_room(
            {file.name: store.head(session.keys[file.name]).size for file in session.files}, config, limits, folder
        )
        for file in session.files:
            path = folder / keys.file_name(file.name)
            digest = store.download(session.keys[file.name], str(path))
            if file.sha256 not in (None, digest):
                raise Rejected(
                    "digest_mismatch",
                    f"{file.name} arrived with SHA-256 {digest}, but {file.sha256} was announced; upload it again",
                )
            files[file.name] = path
        if len(files) > 1 and inbox.is_inbox(session) and not inbox.is_unchanged(store, session):
            raise FilesGone("its files were replaced before they could be checked: what is there now is another upload")
    except ObjectNotFound as error:
        raise FilesGone("a file was removed before it could be checked: push again") from error
    return _unpacked(config, files, folder, limits) if inbox.is_archive(session) else files


def _unpacked(config: Config, files: dict[str, Path], folder: Path, limits: Limits) -> dict[str, Path]:
    """The files of an archive, which keep to the bounds of files that come by themselves."""
    [archive] = files.values()
    unpacked = archives.unpack(archive, folder, _most(config, limits) + bounds.MAX_BYTES, limits)
    _require_size({name: path.stat().st_size for name, path in unpacked.items()}, config, limits)
    return unpacked


def _most(config: Config, limits: Limits) -> int:
    """Bytes of all files of a package, without amaas.json."""
    return max(limits.model_bytes + limits.golden_bytes, config.max_package_bytes)


def _require_size(sizes: dict[str, int], config: Config, limits: Limits, largest: int | None = None) -> None:
    """Raises Rejected for a package that is over the limits. sizes: in bytes, by the files' names."""
    for name, size in sizes.items():
        most = bounds.MAX_BYTES if name == MANIFEST_FILE else config.max_upload_bytes
        if size > most:
            raise Rejected(
                "too_large", f"{name} has {size:,} bytes, more than the {most:,} that are allowed; make it smaller"
            )
    total, allowed = sum(sizes.values()), min(_most(config, limits), largest or 2**62)
    if total - sizes.get(MANIFEST_FILE, 0) > allowed:
        raise Rejected(
            "too_large",
            f"the files have {total:,} bytes together, more than the {allowed:,} that can be checked; "
            "quantize the model, or leave files out",
        )


def _require_room(sizes: dict[str, int], config: Config, limits: Limits, folder: Path) -> None:
    """Raises Rejected for a package that can never be checked, Unavailable for one that has to wait for room.

    sizes: in bytes, by the files' names.
    """
    disk = shutil.disk_usage(folder)
    _require_size(sizes, config, limits, disk.total)
    total = sum(sizes.values())
    if total > disk.free:
        raise Unavailable(f"the files have {total:,} bytes together, and only {disk.free:,} are free: wait for room")
