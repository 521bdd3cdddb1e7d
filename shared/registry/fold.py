"""What a record makes of a state. Pure and deterministic: the same records give the same state, to the byte.

The state stays small however long the log grows: versions are sealed away into blobs, in segments, as soon as two
segments' worth of them has gathered, and only those that an alias names stay at hand.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from msgspec.structs import replace

from shared import formats
from shared.errors import Unavailable
from shared.registry.state import Alias, Head, Record, Segment, Target, Version, short

SEGMENT = 256
TRAIL = 10
REMEMBERED = 1024


class Broken(Unavailable):
    """A record does not follow the one before it: the log was damaged or tampered with."""


def fold(head: Head, record: Record, digest: str) -> Head:
    """The state after one more record, whose digest is given. Raises Broken, and TooNew for one of a later release."""
    if record.revision != head.revision + 1 or record.previous != head.digest:
        raise Broken(
            f"the log of model {head.model!r} is broken: record {record.revision} does not follow revision "
            f"{head.revision}; `amaas verify {head.model}` says more"
        )
    if record.min_reader > formats.READER:
        raise formats.too_new(f"record {record.revision} of model {head.model!r}", record.min_reader, formats.READER)
    head = replace(
        head,
        revision=record.revision,
        digest=digest,
        updated_at=record.at,
        done=_done(head, record),
        min_reader=max(head.min_reader, record.min_reader),
        min_writer=max(head.min_writer, record.min_writer),
    )
    if record.version is not None:
        head = _register(head, record, record.version)
    if record.aliases:
        head = _move(head, record)
    return _seal(_others(head, record), record.sealed)


def _done(head: Head, record: Record) -> dict[str, int]:
    if record.request_id is None:
        return head.done
    kept = list(head.done.items())[-(REMEMBERED - 1) :]
    return dict([*kept, (short(record.request_id), record.revision)])


def _register(head: Head, record: Record, version: Version) -> Head:
    if head.deleted is not None:
        # the name is used again: a new life, in which numbers go on; which uploads there were stays known
        head = Head(
            model=head.model,
            revision=head.revision,
            digest=head.digest,
            updated_at=head.updated_at,
            first=version.version,
            sealed=_sealed(head, head.latest, record.sealed).sealed,
            policies=head.policies,
            done=head.done,
            min_reader=head.min_reader,
            min_writer=head.min_writer,
        )
    version = replace(version, created_at=record.at, by=record.by)
    return replace(head, latest=version.version, versions=head.versions | {version.version: version})


def _move(head: Head, record: Record) -> Head:
    aliases = dict(head.aliases)
    for name, to in record.aliases.items():
        before = aliases.pop(name, None)
        if to is not None:
            target = Target(version=to) if isinstance(to, int) else to
            aliases[name] = Alias(
                version=target.version,
                split=target.split,
                shadow=target.shadow,
                since=record.revision,
                trail=_trail(before, target, record.kind == "rollback"),
            )
    versions = head.versions | {version.version: version for version in record.named}
    # whoever approves must know where the alias stands: requests made before it moved are void
    requests = {number: r for number, r in head.requests.items() if r.alias not in record.aliases}
    return replace(head, aliases=aliases, versions=versions, requests=requests)


def _trail(before: Alias | None, target: Target, back: bool) -> list[Target]:
    """Where rollbacks lead from the new target: each one further into the past, never back to what was left."""
    if before is None:
        return []
    if back:
        places = [n for n, earlier in enumerate(before.trail) if earlier == target.serving]
        return before.trail[: places[-1]] if places else before.trail
    if before.target.serving == target.serving:
        return before.trail
    return [*before.trail, before.target.serving][-TRAIL:]


def _others(head: Head, record: Record) -> Head:
    changes: dict[str, Any] = {}
    if record.proposal is not None:
        asked = replace(record.proposal, by=record.by, name=record.name, at=record.at, reason=record.reason)
        changes["requests"] = head.requests | {record.revision: asked}
    if record.request is not None:
        changes["requests"] = {number: r for number, r in head.requests.items() if number != record.request}
    if record.policies:
        changes["policies"] = head.policies | record.policies
    if record.retired is not None:
        changes["retired"] = head.retired | {record.retired: record.revision}
    if record.restored is not None:
        changes["retired"] = {number: at for number, at in head.retired.items() if number != record.restored}
    if record.rechecked is not None:
        changes["versions"] = head.versions | {record.rechecked.version: record.rechecked}
    if record.tags is not None:
        changes["tags"] = record.tags
    if record.card is not None:
        changes["edited"] = record.revision
    if record.kind == "delete":
        changes |= {"deleted": record.at, "requests": {}}
    if record.kind == "undelete":
        changes["deleted"] = None
    return replace(head, **changes) if changes else head


def _seal(head: Head, sealed: Segment | None) -> Head:
    if head.latest - _unsealed(head) + 1 >= 2 * SEGMENT:
        head = _sealed(head, _unsealed(head) + SEGMENT - 1, sealed)
    if not head.sealed:
        return head
    start = _unsealed(head)
    in_use = {number for alias in head.aliases.values() for number in alias.target.numbers}
    kept = {number: version for number, version in head.versions.items() if number >= start or number in in_use}
    return replace(head, versions=kept) if len(kept) < len(head.versions) else head


def _unsealed(head: Head) -> int:
    """The lowest number that is in no segment."""
    return head.sealed[-1].last + 1 if head.sealed else head.first


def _sealed(head: Head, last: int, sealed: Segment | None) -> Head:
    """The head with one more segment, up to version `last`. sealed: as the record says, whose writer may know more."""
    first = _unsealed(head)
    if first > last:
        return head
    if sealed is None or (sealed.first, sealed.last) != (first, last):
        digest = hashlib.sha256(segment_body(head, first, last)).hexdigest()
        sealed = Segment(first=first, last=last, digest=digest, until=head.versions[last].created_at)
    return replace(head, sealed=[*head.sealed, sealed])


def segment_body(head: Head, first: int, last: int) -> bytes:
    """A segment's blob: the versions first to last, of a head that still holds them."""
    return msgspec.json.encode([head.versions[number] for number in range(first, last + 1)])
