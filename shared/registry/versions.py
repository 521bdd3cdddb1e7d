"""Versions: registered, resolved, retired and restored."""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec.structs import replace

from shared import keys
from shared.errors import Conflict, NotFound
from shared.registry.log import Log
from shared.registry.state import PRODUCTION, Act, Head, Record, Version

# clocks of functions and of uploads may differ by this many seconds
SKEW = 3600


def register(log: Log, model: str, version: Version, act: Act) -> Version:
    """Commit the next version of a model; its number is set here. The first one also gets the alias `production`.

    Idempotent by upload: an upload that is a version already gives that version back.
    """
    keys.model_name(model)

    def decide(head: Head) -> Record | None:
        if of_upload(log, head, version.upload):
            return None
        numbered = replace(version, version=head.latest + 1)
        first = {} if head.alive and PRODUCTION in head.aliases else {PRODUCTION: numbered.version}
        return Record(kind="register", by=act.by, version=numbered, aliases={**first})

    registered = of_upload(log, log.append(model, decide, act), version.upload)
    assert registered is not None  # append returned only because the record is in the log
    return registered


def recheck(log: Log, model: str, version: Version, act: Act) -> Version:
    """Serve a version as a newer gate has left it: its model, manifest and files; its number and origin stay.

    Raises NotFound for a version that is not there, or is sealed away: one of the oldest, which no alias names.
    """

    def decide(head: Head) -> Record | None:
        present = head.exists().versions.get(version.version)
        if present is None:
            raise NotFound(
                f"version {version.version} of model {model!r} is not at hand: have an alias name it, and check it then"
            )
        served = replace(version, created_at=present.created_at, by=present.by, upload=present.upload)
        return Record(kind="recheck", by=act.by, reason=act.reason, rechecked=served) if served != present else None

    return log.append(keys.model_name(model), decide, act).versions[version.version]


def of_upload(log: Log, head: Head, upload: str) -> Version | None:
    """The version that an upload became. Segments that were sealed before the upload existed cannot hold it."""
    found = next((version for version in head.versions.values() if version.upload == upload), None)
    opened = _opened(upload)
    for segment in reversed(head.sealed):
        if found is not None or datetime.fromisoformat(segment.until).timestamp() < opened - SKEW:
            break
        found = next((version for version in log.segment(segment.digest) if version.upload == upload), None)
    return found


def _opened(upload: str) -> float:
    """When an upload was opened: its id starts with the milliseconds since the epoch, in hex."""
    try:
        return min(int(upload[:11], 16) / 1000, datetime.now(UTC).timestamp())
    except ValueError:
        return 0.0


def resolve(log: Log, head: Head, reference: str | None, key: str = "") -> Version:
    """The version that a number or an alias names. key: who asks, where the alias is split. Raises NotFound."""
    return log.version(head, head.number(reference, key))


def get(log: Log, head: Head, number: int) -> Version:
    """A version, retired or not. Raises NotFound."""
    if not head.exists().has(number):
        raise NotFound(f"model {head.model!r} has no version {number}: the latest is {head.latest}")
    return log.version(head, number)


def page(log: Log, head: Head, *, before: int | None = None, limit: int = 100) -> tuple[list[Version], int | None]:
    """Versions newest first, below number `before`; and the `before` of the next page, or None at the end."""
    newest = min(head.latest, before - 1) if before else head.latest
    oldest = max(newest - limit + 1, head.first)
    found = [log.version(head, number) for number in range(newest, oldest - 1, -1)]
    return found, oldest if oldest > head.first else None


def retire(log: Log, model: str, number: int, act: Act) -> Head:
    """Take a version out of use: no alias may name it, nobody may call it. Its blobs and its history stay."""

    def decide(head: Head) -> Record | None:
        if number in head.exists().retired and head.has(number):
            return None
        head.usable(number)
        users = sorted(name for name, alias in head.aliases.items() if number in alias.target.numbers)
        if users:
            raise Conflict(
                f"version {number} of model {model!r} is in use by {', '.join(users)}: point them elsewhere first"
            )
        return Record(kind="retire", by=act.by, retired=number)

    return log.append(keys.model_name(model), decide, act)


def restore(log: Log, model: str, number: int, act: Act) -> Head:
    """Put a retired version back into use."""

    def decide(head: Head) -> Record | None:
        if not head.exists().has(number):
            head.usable(number)
        return Record(kind="restore", by=act.by, restored=number) if number in head.retired else None

    return log.append(keys.model_name(model), decide, act)
