"""Policies of aliases, compared: which one lets fewer move an alias, and what takes two persons to set."""

from __future__ import annotations

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from shared.registry.releases import ReleasePolicy
from shared.registry.state import Head, Policy

TWO_PERSONS = 2


def default(alias: str) -> Policy:
    """What an alias has where nothing was said."""
    return Head(model="").policy(alias)


def after(present: Policy, policy: Policy | None, release: ReleasePolicy | UnsetType | None) -> Policy:
    """What an alias has once this is set. None, UNSET: as it was; see aliases.set_policy."""
    return replace(policy or present, release=present.release if release is UNSET else release)


def takes_two_persons(present: Policy, wanted: Policy) -> bool:
    """Whether another person has to approve this change: of an alias that two persons move, or are to move.

    It does where two persons are not needed any more, and where the watcher is to go on by itself, by rules that two
    persons have not seen. To stop it, or to let it roll back, one is enough: that leads to what two have let be.
    """
    if strength(wanted) < strength(present) == TWO_PERSONS:
        return True
    goes_on = wanted.release is not None and wanted.release.promote
    return wanted.two_person and goes_on and (wanted.release != present.release or not present.two_person)


def strength(policy: Policy) -> int:
    """How many stand between a version and the alias: 0 nobody, 1 who may promote, 2 a second person, too."""
    return TWO_PERSONS if policy.two_person else int(policy.protected)
