"""The responses of transitions in their public form: see views.py."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import asdict

from shared.registry import views
from shared.registry.state import Head, Policy


class AliasMoved(views.Alias, kw_only=True):
    """Where the alias points now."""

    model: str
    alias: str
    revision: int


class AliasDeleted(Struct, kw_only=True):
    model: str
    alias: str
    deleted: Literal[True]
    revision: int


class AliasPolicy(views.Policy, kw_only=True):
    model: str
    alias: str
    revision: int


class MoveRequested(views.Target, kw_only=True):
    """The request waits for another person. request: its number."""

    model: str
    alias: str
    request: int
    revision: int


class PolicyRequested(views.Policy, kw_only=True):
    """The request waits for another person. request: its number."""

    model: str
    alias: str
    request: int
    revision: int


class MoveDecided(Struct, kw_only=True):
    """What became of a move request, and where its alias points now, if it is there."""

    model: str
    request: int
    alias: str
    revision: int
    approved: Literal[True] | UnsetType = UNSET
    rejected: Literal[True] | UnsetType = UNSET
    version: int | UnsetType = UNSET
    split: dict[int, int] | UnsetType = UNSET
    shadow: int | UnsetType = UNSET
    since: int | UnsetType = UNSET
    previous: int | UnsetType | None = UNSET
    previous_split: dict[int, int] | UnsetType = UNSET


class VersionState(Struct, kw_only=True):
    model: str
    version: int
    state: views.State
    revision: int


class ModelUpdated(Struct, kw_only=True):
    model: str
    revision: int
    tags: list[str]
    card: str | None


class ModelDeleted(Struct, kw_only=True):
    model: str
    deleted: Literal[True]
    revision: int


class ModelRestored(Struct, kw_only=True):
    model: str
    restored: Literal[True]
    revision: int


def moved(head: Head, alias: str) -> AliasMoved:
    view = views.alias(head.aliases[alias])
    return AliasMoved(model=head.model, alias=alias, revision=head.revision, **asdict(view))


def policy_requested(model: str, alias: str, number: int, policy: Policy) -> PolicyRequested:
    wanted = asdict(views.policy(policy))
    return PolicyRequested(model=model, alias=alias, request=number, revision=number, **wanted)


def decided(head: Head, number: int, alias: str, *, approved: bool) -> MoveDecided:
    present = asdict(views.alias(head.aliases[alias])) if alias in head.aliases else {}
    decision = MoveDecided(model=head.model, request=number, alias=alias, revision=head.revision, **present)
    if approved:
        decision.approved = True
    else:
        decision.rejected = True
    return decision
