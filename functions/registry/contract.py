"""What the calls of the control plane may say: bodies, which refuse what they do not know, and queries."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field
from msgspec.structs import asdict

from shared.errors import BadInput
from shared.paging import CURSOR, limit
from shared.registry import policies
from shared.registry.releases import ALL, METRICS, ReleasePolicy
from shared.registry.state import PRODUCTION, Policy, Target

Reason = Annotated[str, Meta(max_length=2000)]
Number = Annotated[int, Meta(ge=1, le=10**9)]
Weight = Annotated[int, Meta(ge=0, le=10**6)]
Tag = Annotated[str, Meta(min_length=1, max_length=64)]
Reference = Annotated[str, Meta(pattern="^[0-9a-z][0-9a-z-]{0,31}$", description="a version's number, or an alias")]


class TransitionRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """What the body of every transition may say. expect_revision: refuse when the model has moved on."""

    reason: Reason | None = None
    expect_revision: Annotated[int, Meta(ge=0)] | None = None


class SetAliasRequest(TransitionRequest, forbid_unknown_fields=True, kw_only=True):
    """Where an alias is to point: a version or a split, whole as it stands here."""

    version: Number | None = None
    split: dict[Number, Weight] | None = None
    shadow: Number | None = None

    def target(self) -> Target:
        if (self.version is None) == (self.split is None):
            raise BadInput('say where to: either {"version": 3} or {"split": {"3": 90, "4": 10}}')
        weights = {self.version: 1} if self.version is not None else self.split or {}
        return Target.of(weights, self.shadow)


class RollbackRequest(TransitionRequest, forbid_unknown_fields=True, kw_only=True):
    """version: one that the alias pointed to before; omitted, the previous target."""

    version: Number | None = None


Percent = Annotated[int, Meta(ge=1, le=ALL)]
Metric = Literal["server_errors", "slow", "shadow_differs", "out_of_range", "wrong_label"]
USUAL = ReleasePolicy()


class ReleaseRules(Struct, forbid_unknown_fields=True, kw_only=True):
    """How canaries of an alias are watched; a member that is left out has its default.

    steps: the canary's weights in percent, rising, the last one 100. bake_minutes, least_requests: how long each lasts
    at least, and how many calls the canary has to have had in it. tolerated_loss: how many more of its calls may be
    bad, as a fraction. alpha: how probable a wrong rollback may be. abort: go back by itself. promote: go on by itself.
    """

    steps: Annotated[list[Percent], Meta(min_length=1, max_length=10)] = field(default_factory=lambda: [*USUAL.steps])
    bake_minutes: Annotated[int, Meta(ge=1, le=7 * 24 * 60)] = USUAL.bake_minutes
    least_requests: Annotated[int, Meta(ge=1, le=10**7)] = USUAL.least_requests
    tolerated_loss: Annotated[float, Meta(ge=0.0005, le=0.5)] = USUAL.tolerated_loss
    alpha: Annotated[float, Meta(ge=1e-9, le=0.1)] = USUAL.alpha
    abort: bool = USUAL.abort
    promote: bool = USUAL.promote
    metrics: Annotated[list[Metric], Meta(min_length=1, max_length=len(METRICS))] = field(
        default_factory=lambda: ["server_errors"]
    )

    def policy(self) -> ReleasePolicy:
        """Raises BadInput."""
        if self.steps != sorted(set(self.steps)) or self.steps[-1] != ALL:
            raise BadInput(f"the steps of a release must rise and end with {ALL}, as in [5, 25, 50, {ALL}]")
        if len(set(self.metrics)) < len(self.metrics):
            raise BadInput("name each of a release's metrics once")
        members = asdict(self) | {"steps": tuple(self.steps), "metrics": tuple(self.metrics)}
        return ReleasePolicy(**members)


class SetPolicyRequest(TransitionRequest, forbid_unknown_fields=True, kw_only=True):
    """protected: only tokens with the scope promote move the alias. two_person: only approved requests do.

    default: back to what an alias has by default, without the members before it; `production` is protected then.
    below_default: said with `protected: false`, where the default is protected. release: how canaries are watched; null
    for not at all. What is not said stays: release, and with it alone, who may move the alias.
    """

    protected: bool | UnsetType = UNSET
    two_person: bool | UnsetType = UNSET
    default: bool = False
    below_default: bool = False
    release: ReleaseRules | UnsetType | None = UNSET

    def rules(self) -> ReleasePolicy | UnsetType | None:
        """Raises BadInput."""
        return self.release.policy() if isinstance(self.release, ReleaseRules) else self.release

    def policy(self, alias: str) -> Policy | None:
        """Who may move the alias; None for as it is. Raises BadInput."""
        if self.release is not UNSET and not self.default and (self.protected, self.two_person) == (UNSET, UNSET):
            return None
        usual = policies.default(alias)
        if self.default:
            if (self.protected, self.two_person) != (UNSET, UNSET):
                raise BadInput("say either default, or protected and two_person")
            return usual
        policy = Policy(protected=self.protected is not False, two_person=self.two_person is True)
        if policies.strength(policy) < policies.strength(usual) and not self.below_default:
            raise BadInput(
                f"alias {alias!r} is protected by default: to go below that, say below_default, too; "
                '{"default": true} goes back to the default'
            )
        return policy


class UpdateModelRequest(TransitionRequest, forbid_unknown_fields=True, kw_only=True):
    """card: Markdown. Each replaces what is there."""

    card: Annotated[str, Meta(max_length=200_000)] | None = None
    tags: Annotated[list[Tag], Meta(max_length=50)] | None = None


class ModelsQuery(Struct):
    search: Annotated[str, Meta(description="words that the name, the task or a tag has to contain")] = ""
    task: Annotated[str | None, Meta(description="only models of this task")] = None
    tag: Annotated[str | None, Meta(description="only models with this tag")] = None
    next: Annotated[str | None, CURSOR] = None
    limit: Annotated[int, limit()] = 100


class VersionsQuery(Struct):
    next: Annotated[Annotated[int, Meta(ge=1, le=10**9)] | None, CURSOR] = None
    limit: Annotated[int, limit()] = 100


class CompareQuery(Struct, rename={"old": "from", "new": "to"}):
    old: Reference = PRODUCTION
    new: Annotated[Reference | None, Meta(description="omitted: the newest version")] = None


class HistoryQuery(Struct):
    verify: Annotated[bool, Meta(description="check the whole log: is every record there, unchanged and signed?")] = (
        False
    )
    verify_next: Annotated[str | None, Meta(description="`verify_next` of the answer before: go on with that part")] = (
        None
    )
    next: Annotated[Annotated[int, Meta(ge=1, le=10**12)] | None, CURSOR] = None
    limit: Annotated[int, limit(200)] = 50


class StatsQuery(Struct):
    since: Annotated[
        str, Meta(max_length=40, description="a time (2026-01-31T17:00:00Z), or so long ago: 90m, 24h, 30d")
    ] = "1h"
    until: Annotated[str | None, Meta(description="a time, or so long ago; omitted: now")] = None
    step: Annotated[
        Literal["minute", "hour", "day"] | None, Meta(description="omitted: the finest that suits the span")
    ] = None
    version: Annotated[Number | None, Meta(description="only calls of this version")] = None
    alias: Annotated[str | None, Meta(description="only calls by this alias; empty: only by a version's number")] = None
    next: Annotated[str | None, CURSOR] = None
    limit: Annotated[int, limit(5000)] = 1000


class DriftQuery(Struct):
    since: Annotated[
        str, Meta(max_length=40, description="a time (2026-01-31T17:00:00Z), or so long ago: 6h, 7d; of whole hours")
    ] = "1d"
    until: Annotated[str | None, Meta(description="a time, or so long ago; omitted: now")] = None
    version: Annotated[Number | None, Meta(description="only calls of this version")] = None
    alias: Annotated[str | None, Meta(description="only calls by this alias; empty: only by a version's number")] = None


class AccuracyQuery(DriftQuery):
    since: Annotated[
        str, Meta(max_length=40, description="a time (2026-01-31T17:00:00Z), or so long ago: 6h, 7d; of whole hours")
    ] = "7d"


def number(params: dict[str, str], name: str) -> int:
    """A number in a path. Raises BadInput."""
    text = params[name]
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text)):
        subject = "move request" if name == "number" else name
        raise BadInput(f"{text[:40]!r} is not the number of a {subject}: numbers start with 1")
    return int(text)
