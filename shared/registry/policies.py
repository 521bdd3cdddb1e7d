"""Policies of aliases, compared: which one lets fewer move an alias."""

from __future__ import annotations

from shared.registry.state import Head, Policy

TWO_PERSONS = 2


def default(alias: str) -> Policy:
    """What an alias has where nothing was said."""
    return Head(model="").policy(alias)


def strength(policy: Policy) -> int:
    """How many stand between a version and the alias: 0 nobody, 1 who may promote, 2 a second person, too."""
    return TWO_PERSONS if policy.two_person else int(policy.protected)
