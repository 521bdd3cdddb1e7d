"""Versions: registered, resolved, retired and restored."""

from __future__ import annotations

import time
from datetime import datetime

from msgspec.structs import replace

from shared import keys
from shared.errors import Conflict, NotFound
from shared.registry.log import Log
from shared.registry.state import PRODUCTION, Change, Head, Record, Version

# seconds by which the clocks of functions may differ
SKEW = 3600


def register(log: Log, model: str, version: Version, change: Change) -> Version:
    """Commit the next version of a model; its number is set here. The first one also gets the alias `production`.

    But for the first one under the name of a deleted model, if two persons moved that alias: they do so still.

    Idempotent by upload: for an upload that was registered already, returns its version.
    """
    keys.model_name(model)

    def decide(head: Head) -> Record | None:
        if of_upload(log, head, version.upload):
            return None
        numbered = replace(version, version=head.latest + 1)
        is_set = head.alive and PRODUCTION in head.aliases
        first = {} if is_set or head.policy(PRODUCTION).two_person else {PRODUCTION: numbered.version}
        return Record(kind="register", by=change.by, version=numbered, aliases={**first})

    registered = of_upload(log, log.append(model, decide, change), version.upload)
    assert registered is not None  # append returns only once the version is in the log
    return registered


def recheck(log: Log, model: str, version: Version, change: Change) -> Version:
    """Replace a version's model, manifest and files by the result of newer checks; number and origin stay.

    Raises NotFound for a version that does not exist, or is archived: one of the oldest, without an alias.
    """

    def decide(head: Head) -> Record | None:
        present = head.require_existing().versions.get(version.version)
        if present is None:
            raise NotFound(
                f"version {version.version} of model {model!r} is archived or does not exist: "
                "point an alias to it, then check it again"
            )
        served = replace(version, created_at=present.created_at, by=present.by, upload=present.upload)
        if served == present:
            return None
        return Record(kind="recheck", by=change.by, reason=change.reason, rechecked=served)

    return log.append(keys.model_name(model), decide, change).versions[version.version]


def of_upload(log: Log, head: Head, upload: str) -> Version | None:
    """The version that was registered from an upload; None if there is none."""
    match = next((version for version in head.versions.values() if version.upload == upload), None)
    opened = _opened(upload)
    for segment in reversed(head.archived):
        # a segment of versions that were registered before the upload was opened cannot contain it: not read
        if match is not None or datetime.fromisoformat(segment.until).timestamp() < opened - SKEW:
            break
        match = next((version for version in log.segment(segment.digest) if version.upload == upload), None)
    return match


def _opened(upload: str) -> float:
    """The time an upload was opened, in seconds: its id starts with the milliseconds since the epoch, in hex."""
    try:
        return min(int(upload[:11], 16) / 1000, time.time())
    except ValueError:
        return 0.0


def resolve(log: Log, head: Head, reference: str | None, key: str = "") -> Version:
    """The version of a reference: a number or an alias. key: of the caller, for split aliases. Raises NotFound."""
    return log.version(head, head.number(reference, key))


def get(log: Log, head: Head, number: int) -> Version:
    """A version by number, retired ones included. Raises NotFound."""
    if not head.require_existing().has_version(number):
        raise NotFound(f"model {head.model!r} has no version {number}: its versions are {head.first} to {head.latest}")
    return log.version(head, number)


def page(log: Log, head: Head, *, before: int | None = None, limit: int = 100) -> tuple[list[Version], int | None]:
    """Versions newest first, below number `before`; and the `before` of the next page, or None at the end."""
    newest = min(head.latest, before - 1) if before else head.latest
    oldest = max(newest - limit + 1, head.first)
    versions = [log.version(head, number) for number in range(newest, oldest - 1, -1)]
    return versions, oldest if oldest > head.first else None


def retire(log: Log, model: str, number: int, change: Change) -> Head:
    """Retire a version: aliases and calls that refer to it are refused. Its blobs and its history stay.

    Raises Conflict while an alias points to it.
    """

    def decide(head: Head) -> Record | None:
        if number in head.require_existing().retired and head.has_version(number):
            return None
        head.require_usable(number)
        users = sorted(name for name, alias in head.aliases.items() if number in alias.target.numbers)
        if users:
            raise Conflict(
                f"version {number} of model {model!r} is in use by {', '.join(users)}: "
                "point these aliases to another version first"
            )
        return Record(kind="retire", by=change.by, retired=number)

    return log.append(keys.model_name(model), decide, change)


def restore(log: Log, model: str, number: int, change: Change) -> Head:
    """Put a retired version back into use. Raises NotFound."""

    def decide(head: Head) -> Record | None:
        if not head.require_existing().has_version(number):
            head.require_usable(number)
        return Record(kind="restore", by=change.by, restored=number) if number in head.retired else None

    return log.append(keys.model_name(model), decide, change)
