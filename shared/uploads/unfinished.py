"""What no event brought to an end: lost events, checks that were killed, files that never came.

`listed` finds the uploads without an end state, in a fair order; `judge` says what is to be done with one of them. What
follows is the caller's (ingest/pipeline.py): here is nothing that checks a package.
"""

from __future__ import annotations

from collections import Counter
from typing import Literal

from msgspec import Struct

from shared import keys
from shared.errors import BadInput, NotFound
from shared.formats import DAMAGED, UNREADABLE
from shared.storage.base import ObjectNotFound, Store, get_many, list_all
from shared.uploads import forms, inbox, states
from shared.uploads.attempts import MAX_ATTEMPTS, leased
from shared.uploads.forms import UPLOAD, Upload, UploadSession

PATIENCE = 900.0  # seconds after the last file's arrival in which its event may still be on its way
LAST_ATTEMPT = 3 * 3600.0  # seconds after the arrival: the last attempt is made behind an outage of some hours
FILES_WAITED_FOR = 86400.0  # seconds after a session was opened: its URLs are valid for one hour
MISSING = b""


class Unfinished(Struct, frozen=True):
    """An upload that has a marker. upload: its state; None if none was written, or it is of a later release."""

    model: str
    upload_id: str
    upload: Upload | None


class Judgment(Struct, frozen=True):
    """What is to be done: `check` the upload, let it `expire`, `wait`, or `forget` a marker that has outlived it."""

    action: Literal["check", "expire", "wait", "forget"]
    session: UploadSession | None = None
    code: str | None = None
    reason: str | None = None


def listed(store: Store) -> list[Unfinished]:
    """Uploads without an end state: fewest attempts first, then round robin by model, the oldest of each first.

    So what fails again and again, or one model with hundreds of uploads, is never in front of everybody else.
    """
    marked = [named for info in list_all(store, keys.UNFINISHED) if (named := keys.parse_unfinished(info.key))]
    bodies = get_many(store, [keys.upload_state(*named) for named in marked], missing=MISSING)
    states_ = [_readable(body.body) for body in bodies]
    entries = [Unfinished(*named, upload) for named, upload in zip(marked, states_, strict=True)]
    places = _places_in_model(marked)

    def order(entry: Unfinished) -> tuple[int, int, str]:
        attempts = entry.upload.attempts if entry.upload else 0
        return attempts, places[entry.model, entry.upload_id], entry.upload_id

    return sorted(entries, key=order)


def mark_again(store: Store) -> int:
    """Write markers that are missing, and return how many: of sessions that an earlier release opened, or whose writer
    died before it wrote their state.

    Reads each session that has not expired, so it is for once a day.
    """
    marked = {info.key for info in list_all(store, keys.UNFINISHED)}
    missing = 0
    for upload_id in inbox.session_ids(store):
        try:
            session = states.read_session(store, upload_id)
            if keys.unfinished(session.model, upload_id) in marked:
                continue
            if not _has_ended(store, session):
                store.put(keys.unfinished(session.model, upload_id), b"")
                missing += 1
        except (NotFound, BadInput, *UNREADABLE):
            continue  # expired since the listing, half written, another object, damaged, or of a later release
    return missing


def _has_ended(store: Store, session: UploadSession) -> bool:
    """False, too, for a session without a state: the next look writes it. Raises TooNew."""
    try:
        return states.read_state(store, session).state in forms.FINAL
    except ObjectNotFound:
        return False


def judge(store: Store, entry: Unfinished, patience: float, current_time: float) -> Judgment:
    """What is to be done with an upload. patience: as PATIENCE; below 0 or 0, no event can be on its way."""
    if entry.upload is None:
        return _without_state(store, entry)
    if entry.upload.state in forms.FINAL:
        return Judgment("forget")
    objects = {info.key: info.modified for info in list_all(store, keys.upload_objects(entry.upload_id))}
    try:
        session = states.read_session(store, entry.upload_id)
    except NotFound:
        return _expired("session_expired", "its files were removed before they were checked: push again")
    arrivals = {name: objects.get(key) for name, key in session.keys.items()}
    if inbox.is_inbox(session):
        arrivals = inbox.arrived(store, session)
    missing = [name for name, modified in arrivals.items() if modified is None]
    if missing:
        opened = objects.get(keys.upload_session(entry.upload_id), current_time)
        return _incomplete(entry.upload, missing, current_time - opened)
    waited = current_time - max(modified for modified in arrivals.values() if modified is not None)
    if leased(entry.upload) and patience > 0:
        return Judgment("wait")
    last = entry.upload.attempts == MAX_ATTEMPTS - 1 and patience >= PATIENCE
    return Judgment("check" if waited > (LAST_ATTEMPT if last else patience) else "wait", session)


def _without_state(store: Store, entry: Unfinished) -> Judgment:
    """Whoever opened the session died before it wrote the state; or a later release wrote one, and takes care of it."""
    try:
        states.write_session(store, states.read_session(store, entry.upload_id))
    except NotFound:
        return Judgment("forget")
    return Judgment("wait")


def _incomplete(upload: Upload, missing: list[str], opened_for: float) -> Judgment:
    names = ", ".join(missing)
    if upload.attempts:
        return _expired("files_gone", f"{names} was removed before a check could end: push again")
    if opened_for > FILES_WAITED_FOR:
        return _expired("files_missing", f"{names} did not arrive within a day: push again")
    return Judgment("wait")


def _expired(code: str, reason: str) -> Judgment:
    return Judgment("expire", code=code, reason=reason)


def _readable(body: bytes) -> Upload | None:
    try:
        return UPLOAD.decode(body) if body != MISSING else None
    except DAMAGED:
        return None


def _places_in_model(marked: list[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """How many unfinished uploads of the same model are older, for each pair of model and upload."""
    places: dict[tuple[str, str], int] = {}
    seen: Counter[str] = Counter()
    for model, upload in sorted(marked):
        places[model, upload] = seen[model]
        seen[model] += 1
    return places
