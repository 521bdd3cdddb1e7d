"""A look at all canaries: judged by their counts, and what is decided carried out.

What has no release policy, or is no split of two versions, is not looked at. Nothing is stored between looks. One that
cannot be judged stops no other.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import NamedTuple

from shared.clock import minute_of
from shared.errors import Unavailable
from shared.registry import catalog, verdicts
from shared.registry.log import Log
from shared.registry.releases import ReleasePolicy
from shared.registry.state import Head
from shared.release.counted import Minute
from shared.release.judge import RollBack, Stage, Verdict, Wait, carried, judge

logger = logging.getLogger(__name__)


class Canary(NamedTuple):
    """One to look at."""

    model: str
    alias: str
    policy: ReleasePolicy
    stage: Stage


class Looked(NamedTuple):
    """What a look came to. verdict: None where it could not be judged. obstacle: why it was not carried out."""

    model: str
    alias: str
    verdict: Verdict | None
    obstacle: str | None = None


# of a canary: the counts of both versions since its stage began
CountsOf = Callable[[Canary], Iterable[Minute]]


def look(log: Log, counts_of: CountsOf, now: int) -> list[Looked]:
    """Judge each canary, and do what follows. now: minutes since the epoch. Raises Unavailable without the catalog."""
    looked = []
    for model, summary in catalog.list_models(log).items():
        if any(len(alias.split) == 2 for alias in summary.aliases.values()):
            looked += [_guarded(model, alias, log, counts_of, now) for alias in sorted(summary.aliases)]
    return [one for one in looked if one is not None]


def _guarded(model: str, alias: str, log: Log, counts_of: CountsOf, now: int) -> Looked | None:
    """As _look, and what goes wrong is logged: a damaged model must not hide a canary that fails."""
    try:
        return _look(model, alias, log, counts_of, now)
    except Exception:
        logger.exception("not judged", extra={"model": model, "alias": alias})
        return Looked(model, alias, None)


def _look(model: str, alias: str, log: Log, counts_of: CountsOf, now: int) -> Looked | None:
    canary = find(log, log.read(model), alias)
    if canary is None:
        return None
    verdict = judge(canary.policy, canary.stage, counts_of(canary), now)
    if isinstance(verdict, Wait):
        return Looked(model, alias, verdict)
    outcome = carry_out(log, canary, verdict)
    return Looked(model, alias, verdict, outcome.obstacle)


def unwatched(head: Head, alias: str) -> str | None:
    """Why an alias of a model is not watched; None if it is."""
    present = head.aliases.get(alias)
    if present is None or not head.alive:
        return "there is no such alias"
    if head.policy(alias).release is None:
        return "it has no release policy: nothing says how its canaries are to be judged"
    if not present.split:
        return f"all of its calls go to version {present.version}: there is no canary"
    if len(present.split) != 2:
        return f"its calls are split among {len(present.split)} versions, and two are compared"
    return None


def find(log: Log, head: Head, alias: str) -> Canary | None:
    """An alias as the judge sees it; None if it is not watched. Raises Unavailable if its last move cannot be read."""
    if unwatched(head, alias) is not None:
        return None
    present, policy = head.aliases[alias], head.policy(alias).release
    roles = verdicts.roles(present)
    assert policy is not None and roles is not None  # as unwatched says
    moved = log.records(head.model, present.since, present.since)
    if not moved:
        raise Unavailable(f"record {present.since} of model {head.model!r} cannot be read")
    stage = Stage(roles, present.since, minute_of(moved[0].at), carried(moved[0], roles))
    return Canary(head.model, alias, policy, stage)


def carry_out(log: Log, canary: Canary, verdict: Verdict) -> verdicts.Outcome:
    """Raises Conflict, Unavailable: the next look decides again."""
    assert not isinstance(verdict, Wait)
    if isinstance(verdict, RollBack):
        return verdicts.roll_back(log, canary.model, canary.alias, verdict.evidence, verdict.reason)
    return verdicts.go_on(log, canary.model, canary.alias, verdict.step, verdict.evidence, verdict.reason)
