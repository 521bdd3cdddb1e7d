"""Moves of an alias by the watcher: back from a worse canary, on to the next step. Why it decides so: release/judge.py.

Whatever a person did since the counts that were judged comes first: another move, another policy, a retired version, an
open move request. Then nothing is written. A move of a person never depends on what is here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from msgspec.structs import replace

from shared import keys
from shared.registry import aliases, approved
from shared.registry.log import Log
from shared.registry.releases import ALL, WATCHER, Evidence, ReleasePolicy
from shared.registry.state import Alias, Change, Head, Record, Target


class Roles(NamedTuple):
    """The two versions of a split. weight: the canary's, in percent."""

    stable: int
    canary: int
    weight: float


class Outcome(NamedTuple):
    """The state after it. obstacle: why the alias was not moved; None if it was, by this watcher or another one."""

    head: Head
    obstacle: str | None


class _Obstacle(Exception):
    """Why a verdict is not carried out."""


def roles(alias: Alias) -> Roles | None:
    """Who is whose canary; None without a split of two. What served alone last is the stable version.

    Where neither did, the one with less weight is the canary; with equal weights, the newer one.
    """
    if len(alias.split) != 2:
        return None
    alone = next((target.version for target in reversed(alias.trail) if not target.split), None)
    by_weight = sorted(alias.split, key=lambda version: (alias.split[version], -version))
    canary, stable = (
        by_weight if alone not in alias.split else sorted(alias.split, key=lambda version: version == alone)
    )
    return Roles(stable, canary, 100 * alias.split[canary] / sum(alias.split.values()))


def roll_back(log: Log, model: str, alias: str, evidence: Evidence, reason: str) -> Outcome:
    """Point an alias back to the newest of its previous targets without the canary, or to the stable version alone.

    Where moves take two persons, to what two have let it be, and no further (approved.py).
    """
    return _append(log, model, alias, evidence, reason, lambda head: _back(log, head, alias, evidence))


def go_on(log: Log, model: str, alias: str, step: int, evidence: Evidence, reason: str) -> Outcome:
    """Give the canary `step` percent of the calls. Its shadow, if the alias has one, stays."""
    return _append(log, model, alias, evidence, reason, lambda head: _on(log, head, alias, step, evidence))


def obstacle(log: Log, head: Head, alias: str, step: int | None, evidence: Evidence) -> str | None:
    """Why a verdict would not be carried out as the model is now; None if it would. step: None for a rollback."""
    try:
        _back(log, head, alias, evidence) if step is None else _on(log, head, alias, step, evidence)
    except _Obstacle as found:
        return str(found)
    return None


def _back(log: Log, head: Head, alias: str, evidence: Evidence) -> Record:
    """Raises _Obstacle."""
    release = _judged(head, alias, evidence)
    if not release.abort:
        raise _Obstacle("rollbacks by evidence were switched off")
    target = _without_canary(log, head, alias, evidence)
    unarchived = aliases.require_usable(log, head, target)
    return Record(kind="rollback", by=WATCHER, aliases={alias: aliases.compact(target)}, unarchived=unarchived)


def _on(log: Log, head: Head, alias: str, step: int, evidence: Evidence) -> Record:
    """Raises _Obstacle."""
    release = _judged(head, alias, evidence)
    if not release.promote or release != evidence.policy:
        raise _Obstacle("the release policy was changed")
    if any(request.alias == alias for request in head.requests.values()):
        raise _Obstacle("a move request of this alias is open")
    if head.policy(alias).two_person and not approved.release(log, head, alias):
        raise _Obstacle("two persons have not approved this release: the canary's split was not requested")
    present = head.aliases[alias]
    weights = {evidence.stable: ALL - step, evidence.canary: step}
    target = Target.of(weights, present.shadow if present.shadow != evidence.canary else None)
    unarchived = aliases.require_usable(log, head, target)
    return Record(kind="step", by=WATCHER, aliases={alias: aliases.compact(target)}, unarchived=unarchived)


def _judged(head: Head, alias: str, evidence: Evidence) -> ReleasePolicy:
    """The alias' release policy. Raises _Obstacle unless the alias is still what was judged."""
    present = head.aliases.get(alias)
    if not head.alive or present is None:
        raise _Obstacle("the alias is gone")
    if present.since != evidence.since:
        raise _Obstacle(f"the alias was moved meanwhile, by record {present.since}")
    pair = roles(present)
    if pair is None or (pair.stable, pair.canary) != (evidence.stable, evidence.canary):
        raise _Obstacle("the alias has other versions than those that were judged")
    if evidence.stable in head.retired or not head.has_version(evidence.stable):
        raise _Obstacle(f"version {evidence.stable} is retired")
    if evidence.verdict != "worse" and evidence.canary in head.retired:
        raise _Obstacle(f"version {evidence.canary} is retired")
    release = head.policy(alias).release
    if release is None:
        raise _Obstacle("the release policy was removed")
    return release


def _without_canary(log: Log, head: Head, alias: str, evidence: Evidence) -> Target:
    """Where a rollback goes. Raises _Obstacle."""
    unusable = {evidence.canary, *head.retired}
    for target in reversed(aliases.reachable_targets(log, head, alias)):
        if not target.numbers & unusable:
            return target
    if head.policy(alias).two_person:
        raise _Obstacle(
            "it takes two persons to move the alias, and they have approved nothing that it could go back to"
        )
    return Target(version=evidence.stable)


def _append(
    log: Log, model: str, alias: str, evidence: Evidence, reason: str, decide: Callable[[Head], Record]
) -> Outcome:
    """Commit what is decided, once per stage: two watchers, or a lost reply, make one record."""
    obstacle: str | None = None

    def decide_now(head: Head) -> Record | None:
        nonlocal obstacle
        try:
            record = decide(head)
        except _Obstacle as found:
            obstacle = str(found)
            return None
        obstacle = None
        return replace(record, evidence=evidence)

    # callers' keys have their call behind them (entry/request.py), so none is one of these
    change = Change(by=WATCHER, name=WATCHER, reason=reason, request_id=f"{WATCHER}/{alias}/{evidence.since}")
    head = log.append(keys.model_name(model), decide_now, change)
    if obstacle is not None and head.revision_of(change) is not None:
        obstacle = None
    return Outcome(head, obstacle)
