"""The state after a record. Pure and deterministic: the same records give the same state, byte for byte.

The state stays small however long the log grows: versions are archived in blobs, in segments, as soon as there are two
segments' worth of them; only those that an alias points to stay in the state.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from msgspec.structs import replace

from shared import formats
from shared.errors import Unavailable
from shared.registry.state import Alias, Head, Record, Segment, Target, Version, request_hash

SEGMENT = 256  # versions
TRAIL = 10  # targets that rollbacks can reach
REQUEST_IDS = 1024  # idempotency keys


class Broken(Unavailable):
    """A record does not follow the one before it: the log was damaged or tampered with."""


def fold(head: Head, record: Record, digest: str) -> Head:
    """The state after one more record. digest: of the record. Raises Broken; TooNew for a record of a later release."""
    if record.revision != head.revision + 1 or record.previous != head.digest:
        raise Broken(
            f"the log of model {head.model!r} is broken: record {record.revision} does not follow revision "
            f"{head.revision}; run `amaas verify {head.model}` to see which records are affected"
        )
    if record.min_reader > formats.READER:
        raise formats.too_new(f"record {record.revision} of model {head.model!r}", record.min_reader, formats.READER)
    head = replace(
        head,
        revision=record.revision,
        digest=digest,
        updated_at=record.at,
        request_ids=_request_ids(head, record),
        min_reader=max(head.min_reader, record.min_reader),
        min_writer=max(head.min_writer, record.min_writer),
    )
    if record.version is not None:
        head = _register(head, record, record.version)
    if record.aliases:
        head = _move(head, record)
    return _archive(_apply_members(head, record), record.archived)


def _request_ids(head: Head, record: Record) -> dict[str, int]:
    if record.request_id is None:
        return head.request_ids
    latest = list(head.request_ids.items())[-(REQUEST_IDS - 1) :]
    return dict([*latest, (request_hash(record.request_id), record.revision)])


def _register(head: Head, record: Record, version: Version) -> Head:
    if head.deleted is not None:
        # the name is used again: its version numbers continue, so that none ever means two versions. Segments of the
        # deleted model stay: they tell which uploads were registered already
        head = Head(
            model=head.model,
            revision=head.revision,
            digest=head.digest,
            updated_at=head.updated_at,
            first=version.version,
            archived=_add_segment(head, head.latest, record.archived).archived,
            policies=head.policies,
            request_ids=head.request_ids,
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
            target = target_of(to)
            aliases[name] = Alias(
                version=target.version,
                split=target.split,
                shadow=target.shadow,
                since=record.revision,
                trail=_trail(before, target, record.kind == "rollback"),
            )
    versions = head.versions | {version.version: version for version in record.unarchived}
    # an approval refers to the target that the requester saw: requests made before the alias moved are void
    requests = {number: r for number, r in head.requests.items() if r.alias not in record.aliases}
    return replace(head, aliases=aliases, versions=versions, requests=requests)


def target_of(stored: int | Target) -> Target:
    """The target of its stored form: see aliases.compact."""
    return Target(version=stored) if isinstance(stored, int) else stored


def _trail(before: Alias | None, target: Target, is_rollback: bool) -> list[Target]:
    """The targets of later rollbacks: each goes further into the past, never to a target that was rolled back."""
    if before is None:
        return []
    if is_rollback:
        positions = [n for n, earlier in enumerate(before.trail) if earlier == target.serving]
        return before.trail[: positions[-1]] if positions else before.trail
    if before.target.serving == target.serving:
        return before.trail
    return [*before.trail, before.target.serving][-TRAIL:]


def _apply_members(head: Head, record: Record) -> Head:
    """The state after all members of a record but `version` and `aliases`."""
    changes: dict[str, Any] = {**_request_changes(head, record), **_version_changes(head, record)}
    if record.policies:
        changes["policies"] = head.policies | record.policies
    if record.tags is not None:
        changes["tags"] = record.tags
    if record.card is not None:
        changes["edited"] = record.revision
    if record.kind == "delete":
        changes |= {"deleted": record.at, "requests": {}}
    if record.kind == "undelete":
        changes["deleted"] = None
    return replace(head, **changes) if changes else head


def _request_changes(head: Head, record: Record) -> dict[str, Any]:
    if record.request is not None:
        return {"requests": {number: r for number, r in head.requests.items() if number != record.request}}
    if record.proposal is not None:
        # who requests the move, when and why is taken from the record, which the writer completed
        request = replace(record.proposal, by=record.by, name=record.name, at=record.at, reason=record.reason)
        return {"requests": head.requests | {record.revision: request}}
    return {}


def _version_changes(head: Head, record: Record) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if record.retired is not None:
        changes["retired"] = head.retired | {record.retired: record.revision}
    if record.restored is not None:
        changes["retired"] = {number: at for number, at in head.retired.items() if number != record.restored}
    if record.rechecked is not None:
        changes["versions"] = head.versions | {record.rechecked.version: record.rechecked}
    return changes


def _archive(head: Head, segment: Segment | None) -> Head:
    """Archive the oldest versions, if there are enough for a segment. segment: the one in the record, if it has one."""
    # two segments' worth, so that the newest SEGMENT versions can always be read without a request
    if head.latest - _first_unarchived(head) + 1 >= 2 * SEGMENT:
        head = _add_segment(head, _first_unarchived(head) + SEGMENT - 1, segment)
    if not head.archived:
        return head
    start = _first_unarchived(head)
    in_use = {number for alias in head.aliases.values() for number in alias.target.numbers}
    versions = {number: version for number, version in head.versions.items() if number >= start or number in in_use}
    return replace(head, versions=versions) if len(versions) < len(head.versions) else head


def _first_unarchived(head: Head) -> int:
    """The lowest version number that is in no segment."""
    return head.archived[-1].last + 1 if head.archived else head.first


def _add_segment(head: Head, last: int, segment: Segment | None) -> Head:
    """The head with one more segment, up to version `last`.

    segment: the one in the record. Its digest takes precedence: a writer of a later release may have archived members
    of versions that this release does not know, and all readers must refer to the same blob.
    """
    first = _first_unarchived(head)
    if first > last:
        return head
    if segment is None or (segment.first, segment.last) != (first, last):
        digest = hashlib.sha256(segment_body(head, first, last)).hexdigest()
        segment = Segment(first=first, last=last, digest=digest, until=head.versions[last].created_at)
    return replace(head, archived=[*head.archived, segment])


def segment_body(head: Head, first: int, last: int) -> bytes:
    """The content of a segment's blob: the versions first to last, none of which is archived yet."""
    return msgspec.json.encode([head.versions[number] for number in range(first, last + 1)])
