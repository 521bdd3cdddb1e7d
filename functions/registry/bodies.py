"""What the bodies of the control plane's calls may say. Anything else is refused: it may be a typing error."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from shared.errors import BadInput
from shared.registry.state import Target

Reason = Annotated[str, Meta(max_length=2000)]
Number = Annotated[int, Meta(ge=1, le=10**9)]
Weight = Annotated[int, Meta(ge=0, le=10**6)]
Tag = Annotated[str, Meta(min_length=1, max_length=64)]


class Change(Struct, forbid_unknown_fields=True, kw_only=True):
    """What the body of every transition may say."""

    reason: Reason | None = None
    expect_revision: Annotated[int, Meta(ge=0)] | None = None


class Move(Change, forbid_unknown_fields=True, kw_only=True):
    """Where an alias is to point: a version or a split, whole as it stands here."""

    version: Number | None = None
    split: dict[Number, Weight] | None = None
    shadow: Number | None = None

    def target(self) -> Target:
        if (self.version is None) == (self.split is None):
            raise BadInput('say where to: either {"version": 3} or {"split": {"3": 90, "4": 10}}')
        weights = {self.version: 1} if self.version is not None else self.split or {}
        return Target.of(weights, self.shadow)


class Back(Change, forbid_unknown_fields=True, kw_only=True):
    version: Number | None = None


class Rule(Change, forbid_unknown_fields=True, kw_only=True):
    protected: bool = True
    two_person: bool = False


class Edit(Change, forbid_unknown_fields=True, kw_only=True):
    card: Annotated[str, Meta(max_length=200_000)] | None = None
    tags: Annotated[list[Tag], Meta(max_length=50)] | None = None
