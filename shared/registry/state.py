"""What a log's records say and what they add up to: pure data, no storage. How they add up is fold.py."""

# annotations are not kept as text: msgspec would take 2 ms of each cold start to read them

import hashlib
from typing import Any

import msgspec
from msgspec import Struct, field

from shared.errors import BadInput, NotFound

PRODUCTION = "production"
MAX_SPLIT = 10


class Act(Struct, frozen=True, kw_only=True):
    """Who asks for a transition, why, and under which conditions.

    by: the acting token's id. name: what people call it. expect_revision: refuse when the model has moved on.
    request_id: an idempotency key; a transition is not carried out again if its key is among those of the last 1,024.
    may_promote: whether the caller may move protected aliases of this model.
    """

    by: str
    name: str | None = None
    reason: str | None = None
    expect_revision: int | None = None
    request_id: str | None = None
    may_promote: bool = True


class Version(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An immutable version. Digests are SHA-256 of blobs: the manifest, the model as uploaded, the model served.

    size: bytes of the served model. upload: the upload that became this version. package: the signature over the
    package, where the deployment signs. files: digests of the package's other files that serving needs, by name.
    format: of what the blobs are; a release that does not know it refuses this version, and serves the others.
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
    """Versions first to last, sealed away into a blob. until: when the last of them was made."""

    first: int
    last: int
    digest: str
    until: str


class Target(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where an alias sends calls. version: the one with most of them. split: weights by version, when it is split.

    shadow: a version that is asked too, and whose answers nobody gets.
    """

    version: int
    split: dict[int, int] = field(default_factory=dict)
    shadow: int | None = None

    @classmethod
    def of(cls, split: dict[int, int], shadow: int | None = None) -> "Target":
        """The target of some weights, which are relative whole numbers. Raises BadInput."""
        weights = {version: weight for version, weight in sorted(split.items()) if weight}
        if not weights or min(weights.values()) < 0:
            raise BadInput('a split needs whole, positive weights, as in {"3": 90, "4": 10}')
        if len(weights) > MAX_SPLIT:
            raise BadInput(f"a split takes at most {MAX_SPLIT} versions, this one has {len(weights)}")
        most = max(weights, key=lambda version: weights[version])
        return cls(version=most, split=weights if len(weights) > 1 else {}, shadow=shadow)

    @property
    def serving(self) -> "Target":
        """The same without its shadow."""
        return msgspec.structs.replace(self, shadow=None)

    @property
    def numbers(self) -> set[int]:
        """All versions it names."""
        return {self.version, *self.split} | ({self.shadow} if self.shadow else set())

    def choose(self, key: str) -> int:
        """The version that answers callers with this key; raising one version's weight keeps its callers on it."""
        if not self.split:
            return self.version
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
    """A movable name. since: the revision that set it. trail: what it named before, newest last, without shadows."""

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


class Policy(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who may move an alias. protected: scope promote only. two_person: only a request that someone else approves."""

    protected: bool = False
    two_person: bool = False


class Request(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A move of an alias that waits for approval. since: the alias' own `since` when it was asked for."""

    alias: str
    target: Target
    by: str
    name: str | None = None
    at: str = ""
    reason: str | None = None
    since: int = 0


class Seal(Struct, frozen=True, kw_only=True):
    """The deployment's signature over a record and the state after it. content, state: SHA-256; signature: base64."""

    key: str
    content: str
    state: str
    signature: str


class Record(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One transition. previous: the digest of the record before it. write_id tells equal-looking writers apart.

    version: what was registered. aliases: where they point now; None for one that is gone. named: versions that an
    alias names again and that the head had sealed away. request: the request that was approved or rejected.
    rechecked: a version as it is served since a newer gate has checked it again. sealed: the segment that this record
    makes the writer seal away. min_reader, min_writer: see formats.py.

    kind: register, alias, rollback, unalias, policy, request, approve, reject, retire, restore, edit, delete, undelete,
    attest or recheck; for people, but for what fold.py makes of rollback, delete and undelete. The seal comes last.
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
    named: list[Version] = field(default_factory=list)
    proposal: Request | None = None
    request: int | None = None
    policies: dict[str, Policy] = field(default_factory=dict)
    retired: int | None = None
    restored: int | None = None
    rechecked: Version | None = None
    tags: list[str] | None = None
    card: str | None = None
    sealed: Segment | None = None
    min_reader: int = 1
    min_writer: int = 1
    seal: Seal | None = None


def short(request_id: str) -> str:
    return hashlib.sha256(request_id.encode()).hexdigest()[:16]


class Head(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A model's state at a revision.

    digest: that of the last record. latest: the highest version number ever given. first: the lowest of this life of
    the name. versions: those not sealed away, and those that an alias names. retired: by version, since which
    revision. done: request ids, shortened, of the last transitions that had one, with their revisions. edited: the
    revision that holds the card, where it was edited. deleted: when, if it is. min_reader, min_writer: the highest of
    its records; see formats.py.
    """

    model: str
    revision: int = 0
    digest: str = ""
    updated_at: str = ""
    latest: int = 0
    first: int = 1
    versions: dict[int, Version] = field(default_factory=dict)
    sealed: list[Segment] = field(default_factory=list)
    retired: dict[int, int] = field(default_factory=dict)
    aliases: dict[str, Alias] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)
    requests: dict[int, Request] = field(default_factory=dict)
    done: dict[str, int] = field(default_factory=dict)
    tags: list[str] | None = None
    edited: int | None = None
    deleted: str | None = None
    min_reader: int = 1
    min_writer: int = 1

    def request_of(self, act: Act) -> int | None:
        """The revision at which a transition with this act's request id was carried out, if it was, lately."""
        return self.done.get(short(act.request_id)) if act.request_id is not None else None

    @property
    def alive(self) -> bool:
        return self.latest >= self.first and self.deleted is None

    def exists(self) -> "Head":
        if self.deleted is not None:
            raise NotFound(
                f"model {self.model!r} was deleted on {self.deleted[:10]}: an administrator can restore it "
                f"(POST /models/{self.model}/restore) as long as its blobs are kept"
            )
        if not self.alive:
            raise NotFound(f"there is no model {self.model!r}: GET /models lists those there are")
        return self

    def has(self, number: int) -> bool:
        return self.first <= number <= self.latest

    def number(self, reference: str | None, key: str = "") -> int:
        """The number that a number or an alias stands for; `production` when there is no reference.

        key: who asks, where the alias is split. Raises NotFound that lists what there is.
        """
        self.exists()
        reference = reference or PRODUCTION
        if reference.isascii() and reference.isdigit():
            return self.usable(int(reference[:12]))
        return self.alias(reference).target.choose(f"{self.model}/{reference}/{key}")

    def shadow(self, reference: str | None) -> int | None:
        """The version that is asked after the one that answers; none for a number, or an alias without."""
        alias = self.aliases.get(reference or PRODUCTION)
        return alias.shadow if alias else None

    def usable(self, number: int) -> int:
        """The number, if there is such a version and it is not retired. Raises NotFound."""
        if not self.has(number):
            raise NotFound(f"model {self.model!r} has no version {number}: it has {self._known()}")
        if number in self.retired:
            raise NotFound(f"version {number} of model {self.model!r} is retired: restore it, or use another version")
        return number

    def alias(self, name: str) -> Alias:
        if name not in self.aliases:
            raise NotFound(
                f"model {self.model!r} has no version or alias {name[:120]!r}: its aliases are {sorted(self.aliases)}, "
                f"its versions {self._known()}"
            )
        return self.aliases[name]

    def policy(self, alias: str) -> Policy:
        """`production` is protected from the start: pushing a model is one right, putting it into service another."""
        return self.policies.get(alias, Policy(protected=alias == PRODUCTION))

    def _known(self) -> Any:
        numbers = range(self.first, self.latest + 1)
        return list(numbers) if len(numbers) <= 10 else f"{numbers[0]} to {numbers[-1]}"


# Made here and not where they are used: msgspec works out how to decode a type when it is first asked to, and two
# threads that ask at the same time crash the process (seen with 0.22).
RECORD = msgspec.json.Decoder(Record)
HEAD = msgspec.json.Decoder(Head)
VERSIONS = msgspec.json.Decoder(list[Version])
