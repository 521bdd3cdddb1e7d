"""The records of a log and the state that follows from them: pure data, no storage. See fold.py for the transitions."""

# no `from __future__ import annotations`: msgspec would spend 2 ms of each cold start on resolving the texts

import hashlib
from typing import Any

import msgspec
from msgspec import Struct, field

from shared.errors import BadInput, NotFound
from shared.registry.releases import Evidence
from shared.registry.releases import Policy as Policy

PRODUCTION = "production"
MAX_SPLIT = 10


class Change(Struct, frozen=True, kw_only=True):
    """Who asks for a transition, why, and under which conditions.

    by: the caller's token id. name: the token's name in listings. ancestors: of the token. expect_revision: refuse the
    transition if the model is at another revision. request_id: an idempotency key; a transition is not carried out
    again if its key is among the last 1,024. may_promote: whether the caller may move protected aliases of this model.
    """

    by: str
    name: str | None = None
    reason: str | None = None
    expect_revision: int | None = None
    request_id: str | None = None
    may_promote: bool = True
    ancestors: tuple[str, ...] = ()


class Version(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An immutable version. Digests are SHA-256 of blobs: the manifest, the model as uploaded, the model served.

    size: bytes of the served model. upload: the upload that became this version. package: the signature over the
    package, where the deployment signs. files: digests of the package's other files that serving needs, by name.
    format: the form of the blobs; a release that does not know it refuses this version, and serves the others.
    """

    version: int
    task: str
    manifest: str
    source: str
    model: str
    size: int
    upload: str
    created_at: str = ""
    by: str = ""
    package: str | None = None
    files: dict[str, str] = field(default_factory=dict)
    format: int = 1


class Segment(Struct, frozen=True, kw_only=True):
    """An archived segment: a blob with the versions first to last. until: when the last of them was registered."""

    first: int
    last: int
    digest: str
    until: str


class Target(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an alias points to. version: the one with the largest weight. split: weights by version, if it is split.

    shadow: a version that gets a copy of each request; its answers are discarded.
    """

    version: int
    split: dict[int, int] = field(default_factory=dict)
    shadow: int | None = None

    @classmethod
    def of(cls, split: dict[int, int], shadow: int | None = None) -> "Target":
        """A target from relative weights, which are whole numbers. Raises BadInput."""
        weights = {version: weight for version, weight in sorted(split.items()) if weight}
        if not weights or min(weights.values()) < 0:
            raise BadInput('the weights of a split must be positive whole numbers, as in {"3": 90, "4": 10}')
        if len(weights) > MAX_SPLIT:
            raise BadInput(f"a split may have at most {MAX_SPLIT} versions, not {len(weights)}: remove some")
        most = max(weights, key=lambda version: weights[version])
        return cls(version=most, split=weights if len(weights) > 1 else {}, shadow=shadow)

    @property
    def serving(self) -> "Target":
        """The same target without its shadow."""
        return msgspec.structs.replace(self, shadow=None)

    @property
    def numbers(self) -> set[int]:
        """All versions that it refers to."""
        return {self.version, *self.split} | ({self.shadow} if self.shadow else set())

    def choose(self, key: str) -> int:
        """The version for callers with this key; raising one version's weight keeps its callers on it."""
        if not self.split:
            return self.version
        # a hash of the key and not a random number: the same caller always gets the same version
        draw = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest()) / 2**64 * sum(self.split.values())
        for version, weight in self.split.items():
            draw -= weight
            if draw < 0:
                return version
        return self.version

    def __str__(self) -> str:
        text = ", ".join(f"{v}: {w}" for v, w in self.split.items()) or str(self.version)
        return text + (f" with {self.shadow} as shadow" if self.shadow else "")


class Alias(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A movable name. since: the revision that set it. trail: its previous targets, newest last, without shadows."""

    version: int
    split: dict[int, int] = field(default_factory=dict)
    shadow: int | None = None
    since: int = 0
    trail: list[Target] = field(default_factory=list)

    @property
    def target(self) -> Target:
        return Target(version=self.version, split=self.split, shadow=self.shadow)

    @property
    def previous(self) -> int | None:
        return self.trail[-1].version if self.trail else None


class MoveRequest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A move of an alias that waits for approval. since: the alias' own `since` at the time of the request."""

    alias: str
    target: Target
    by: str
    name: str | None = None
    at: str = ""
    reason: str | None = None
    since: int = 0


class Signature(Struct, frozen=True, kw_only=True):
    """The deployment's signature over a record and the state after it. content, state: SHA-256; signature: base64."""

    key: str
    content: str
    state: str
    signature: str


class Record(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One transition. previous: digest of the record before it. write_id: random: no two writers write equal bytes.

    version: what was registered. aliases: their new targets; None for a deleted one. unarchived: versions that an alias
    points to again and that are in archived segments. proposal: a new move request. wanted_policy: see approvals.py.
    ancestors: of the requester's token. request: the number of the move request that was approved or rejected.
    rechecked: a version as it is served since it passed newer checks. archived: the segment that the writer archived
    with this record. evidence: of the watcher, a note. min_reader, min_writer: see formats.py.

    kind: register, alias, step (by the watcher), rollback, unalias, policy, request, approve, reject, retire, restore,
    edit, delete, undelete, attest (re-signed) or recheck; information only, except for rollback, delete and undelete,
    which fold.py interprets.
    signature: the last member, as what is signed is the record in front of it.
    """

    kind: str
    by: str
    name: str | None = None
    revision: int = 0
    at: str = ""
    previous: str = ""
    write_id: str = ""
    request_id: str | None = None
    reason: str | None = None
    version: Version | None = None
    aliases: dict[str, int | Target | None] = field(default_factory=dict)
    unarchived: list[Version] = field(default_factory=list, name="named")
    proposal: MoveRequest | None = None
    wanted_policy: Policy | None = None
    ancestors: list[str] = field(default_factory=list)
    request: int | None = None
    policies: dict[str, Policy] = field(default_factory=dict)
    retired: int | None = None
    restored: int | None = None
    rechecked: Version | None = None
    tags: list[str] | None = None
    card: str | None = None
    archived: Segment | None = field(default=None, name="sealed")
    evidence: Evidence | None = None
    min_reader: int = 1
    min_writer: int = 1
    signature: Signature | None = field(default=None, name="seal")


def request_hash(request_id: str) -> str:
    return hashlib.sha256(request_id.encode()).hexdigest()[:16]


class Head(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A model's state at a revision.

    digest: that of the newest record. latest: the highest version number so far. first: the lowest since the name was
    last used for a new model. versions: those not archived, and those that an alias points to. archived: segments of
    older versions, oldest first. retired: revisions of the retirement, by version. request_ids: hashes of the latest
    idempotency keys, with the revisions of their transitions. edited: the revision that holds the card, if it was
    edited. deleted: the time of the deletion. min_reader, min_writer: the highest of its records; see formats.py.
    """

    model: str
    revision: int = 0
    digest: str = ""
    updated_at: str = ""
    latest: int = 0
    first: int = 1
    versions: dict[int, Version] = field(default_factory=dict)
    archived: list[Segment] = field(default_factory=list, name="sealed")
    retired: dict[int, int] = field(default_factory=dict)
    aliases: dict[str, Alias] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)
    requests: dict[int, MoveRequest] = field(default_factory=dict)
    request_ids: dict[str, int] = field(default_factory=dict, name="done")
    tags: list[str] | None = None
    edited: int | None = None
    deleted: str | None = None
    min_reader: int = 1
    min_writer: int = 1

    def revision_of(self, change: Change) -> int | None:
        """The revision of an earlier transition with the change's idempotency key; None if there is none."""
        return self.request_ids.get(request_hash(change.request_id)) if change.request_id is not None else None

    @property
    def alive(self) -> bool:
        return self.latest >= self.first and self.deleted is None

    def require_existing(self) -> "Head":
        """Itself. Raises NotFound for a model that was never registered, or is deleted."""
        if self.deleted is not None:
            raise NotFound(
                f"model {self.model!r} was deleted on {self.deleted[:10]}: an administrator can restore it "
                f"(POST /models/{self.model}/restore) as long as its blobs are in the bucket"
            )
        if not self.alive:
            raise NotFound(f"there is no model {self.model!r}: GET /models lists all models")
        return self

    def has_version(self, number: int) -> bool:
        return self.first <= number <= self.latest

    def number(self, reference: str | None, key: str = "") -> int:
        """The version number of a reference: a number or an alias, `production` if None.

        key: identifies the caller, for split aliases. Raises NotFound, which lists aliases and versions.
        """
        self.require_existing()
        reference = reference or PRODUCTION
        if reference.isascii() and reference.isdigit():
            return self.require_usable(int(reference[:12]))
        return self.alias(reference).target.choose(f"{self.model}/{reference}/{key}")

    def shadow(self, reference: str | None) -> int | None:
        """The shadow version of a reference; None for a number, or an alias without a shadow."""
        alias = self.aliases.get(reference or PRODUCTION)
        return alias.shadow if alias else None

    def require_usable(self, number: int) -> int:
        """The number itself. Raises NotFound if there is no such version, or it is retired."""
        if not self.has_version(number):
            raise NotFound(f"model {self.model!r} has no version {number}: it has {self._numbers()}")
        if number in self.retired:
            raise NotFound(f"version {number} of model {self.model!r} is retired: restore it, or use another version")
        return number

    def alias(self, name: str) -> Alias:
        if name not in self.aliases:
            raise NotFound(
                f"model {self.model!r} has no version or alias {name[:120]!r}: its aliases are {sorted(self.aliases)}, "
                f"its versions {self._numbers()}"
            )
        return self.aliases[name]

    def policy(self, alias: str) -> Policy:
        """The alias' policy. `production` is protected by default: registering and promoting are separate rights."""
        return self.policies.get(alias, Policy(protected=alias == PRODUCTION))

    def _numbers(self) -> Any:
        numbers = range(self.first, self.latest + 1)
        return list(numbers) if len(numbers) <= 10 else f"{numbers[0]} to {numbers[-1]}"


# at import, before any thread: two that prepare a type for msgspec at the same time crash the process (seen with 0.22)
RECORD = msgspec.json.Decoder(Record)
HEAD = msgspec.json.Decoder(Head)
VERSIONS = msgspec.json.Decoder(list[Version])
