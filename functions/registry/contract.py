"""What the calls of the control plane may say: bodies, which refuse what they do not know, and queries."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from shared.errors import BadInput
from shared.paging import CURSOR, limit
from shared.registry import policies
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


class SetPolicyRequest(TransitionRequest, forbid_unknown_fields=True, kw_only=True):
    """protected: only tokens with the scope promote move the alias. two_person: only approved requests do.

    default: back to what an alias has by default, without the members before it; `production` is protected then.
    below_default: said with `protected: false`, where the default is protected.
    """

    protected: bool | UnsetType = UNSET
    two_person: bool | UnsetType = UNSET
    default: bool = False
    below_default: bool = False

    def policy(self, alias: str) -> Policy:
        """Raises BadInput."""
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


def number(params: dict[str, str], name: str) -> int:
    """A number in a path. Raises BadInput."""
    text = params[name]
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text)):
        subject = "move request" if name == "number" else name
        raise BadInput(f"{text[:40]!r} is not the number of a {subject}: numbers start with 1")
    return int(text)
