"""The public form of a model's history: its records, independent of their stored form. See views.py."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, Struct, UnsetType

from shared.paging import NextNumber
from shared.registry import state
from shared.registry.views import Digest, Proposal, Target
from shared.registry.witness import Problem


class RegisteredVersion(Struct, kw_only=True):
    """A version as its record has it. model, source, manifest: SHA-256 of blobs. package: that of the signature."""

    version: int
    task: str
    manifest: Digest
    source: Digest
    model: Digest
    size: int
    upload: str
    created_at: str | UnsetType = UNSET
    by: str | UnsetType = UNSET
    package: Digest | UnsetType = UNSET
    files: dict[str, Digest] | UnsetType = UNSET


class RecordSignature(Struct, kw_only=True):
    """The deployment's signature over a record and the state after it. content, state: SHA-256; signature: base64."""

    key: str
    content: Digest
    state: Digest
    signature: str


class HistoryRecord(Struct, kw_only=True):
    """One transition. kind: what it was; a newer release may have kinds that this one does not know.

    previous: the digest of the record before it. version: what was registered. aliases: where they point now; null for
    one that was deleted. named: older versions that an alias points to again. wanted_policy: what a request asks for,
    if not for a move. ancestors: the tokens that the requester's descends from, by creation or rotation. request: the
    move request that was approved or rejected. rechecked: a version as it is served since newer checks have passed it.
    """

    kind: str
    by: str
    name: str | UnsetType = UNSET
    revision: int
    at: str
    previous: str | UnsetType = UNSET
    write_id: str | UnsetType = UNSET
    request_id: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    version: RegisteredVersion | UnsetType = UNSET
    aliases: dict[str, int | Target | None] | UnsetType = UNSET
    named: list[RegisteredVersion] | UnsetType = UNSET
    proposal: Proposal | UnsetType = UNSET
    wanted_policy: dict[str, bool] | UnsetType = UNSET
    ancestors: list[str] | UnsetType = UNSET
    request: int | UnsetType = UNSET
    policies: dict[str, dict[str, bool]] | UnsetType = UNSET
    retired: int | UnsetType = UNSET
    restored: int | UnsetType = UNSET
    rechecked: RegisteredVersion | UnsetType = UNSET
    tags: list[str] | UnsetType = UNSET
    card: str | UnsetType = UNSET
    seal: RecordSignature | UnsetType = UNSET


class History(Struct, kw_only=True):
    """Newest first. Members behind `next` are there with verify=true: is every record there, unchanged and signed?

    verified: true where all records up to `revision` were read, and are; null where those that were read are, which are
    the ones after `since`. verify_next: where to go on with those before, in the query of the same call.
    """

    records: list[HistoryRecord]
    next: NextNumber
    verified: bool | UnsetType | None = UNSET
    problems: list[Problem] | UnsetType = UNSET
    revision: int | UnsetType = UNSET
    digest: str | UnsetType = UNSET
    since: int | UnsetType = UNSET
    verify_next: str | UnsetType | None = UNSET


def record(stored: state.Record) -> HistoryRecord:
    return msgspec.convert(msgspec.to_builtins(stored), HistoryRecord)
