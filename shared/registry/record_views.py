"""The public form of a model's history: its records, independent of their stored form. See views.py."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, Struct, UnsetType

from shared.paging import NextNumber
from shared.registry import state
from shared.registry.views import Digest, Proposal, ReleasePolicy, Target
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


class RecordedPolicy(Struct, kw_only=True):
    """What an alias has from then on: see Policy."""

    protected: bool | UnsetType = UNSET
    two_person: bool | UnsetType = UNSET
    release: ReleasePolicy | UnsetType = UNSET


class Measured(Struct, kw_only=True):
    """Calls of both versions, and how many were bad. log_e: natural logarithm of the e-value that the verdict rests on.

    loss_bound: how many more of the canary's calls can be bad at most, as a fraction; null if that is not known yet.
    """

    canary: int
    canary_bad: int
    stable: int
    stable_bad: int
    log_e: float
    loss_bound: float | None


class Evidence(Struct, kw_only=True):
    """Why the watcher moved an alias. verdict: `worse` (back), `no-loss` (a step on); another one of a later release.

    since: the revision that began what was judged. log_e_worse: natural logarithm of the e-value against "the canary is
    not worse", with what the steps before brought, which is `carried`. first, last: the minutes that were counted.
    """

    verdict: str
    since: int
    stable: int
    canary: int
    log_e_worse: float
    carried: float
    first: str
    last: str
    metrics: dict[str, Measured]
    policy: ReleasePolicy


class HistoryRecord(Struct, kw_only=True):
    """One transition. kind: what it was; a newer release may have kinds that this one does not know.

    previous: the digest of the record before it. version: what was registered. aliases: where they point now; null for
    one that was deleted. named: older versions that an alias points to again. wanted_policy: what a request asks for,
    if not for a move. ancestors: the tokens that the requester's descends from, by creation or rotation. request: the
    move request that was approved or rejected. rechecked: a version as it is served since newer checks have passed it.
    evidence: why the watcher moved the alias.
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
    wanted_policy: RecordedPolicy | UnsetType = UNSET
    ancestors: list[str] | UnsetType = UNSET
    request: int | UnsetType = UNSET
    policies: dict[str, RecordedPolicy] | UnsetType = UNSET
    retired: int | UnsetType = UNSET
    restored: int | UnsetType = UNSET
    rechecked: RegisteredVersion | UnsetType = UNSET
    tags: list[str] | UnsetType = UNSET
    card: str | UnsetType = UNSET
    evidence: Evidence | UnsetType = UNSET
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
