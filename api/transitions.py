"""What the transitions of the registry answer, for the description only: see answers.py."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from api.answers import AliasState, Place, PolicyState


class Moved(AliasState, kw_only=True):
    model: str
    alias: str
    revision: int


class Dropped(Struct, kw_only=True):
    model: str
    alias: str
    deleted: Literal[True]
    revision: int


class Protected(PolicyState, kw_only=True):
    model: str
    alias: str
    revision: int


class Requested(Place, kw_only=True):
    model: str
    alias: str
    request: int
    revision: int


class Decided(Struct, kw_only=True):
    """What became of a request, and where its alias points now, if it is there."""

    model: str
    request: int
    alias: str
    revision: int
    approved: Literal[True] | UnsetType = UNSET
    rejected: Literal[True] | UnsetType = UNSET
    version: int | UnsetType = UNSET
    split: dict[str, int] | UnsetType = UNSET
    shadow: int | UnsetType = UNSET
    since: int | UnsetType = UNSET
    previous: int | UnsetType | None = UNSET


class Retired(Struct, kw_only=True):
    model: str
    version: int
    state: Literal["active", "retired"]
    revision: int


class Edited(Struct, kw_only=True):
    model: str
    revision: int
    tags: list[str]
    card: str | None


class Deleted(Struct, kw_only=True):
    model: str
    deleted: Literal[True]
    revision: int


class Restored(Struct, kw_only=True):
    model: str
    restored: Literal[True]
    revision: int
