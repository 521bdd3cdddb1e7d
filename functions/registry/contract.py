"""What the calls of the control plane may say: bodies, which refuse what they do not know, and queries."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from shared.errors import BadInput
from shared.paging import CURSOR, limit
from shared.registry.state import PRODUCTION, Target

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
    """protected: only tokens with the scope promote move the alias. two_person: only approved requests do."""

    protected: bool = True
    two_person: bool = False


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
