"""What follows for an alias from its release policy and the counts since its last move. Pure: no storage, no clock.

Back, as soon as the canary is worse; on, once it has had its time and its calls, and no metric can hide a loss above
the tolerated one. In between, and without calls, it waits, and says for what. evidence.py has the statistics,
registry/verdicts.py what is done.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from msgspec.structs import replace

from shared.clock import as_minute
from shared.registry.releases import ALL, WRONG_LABEL, Evidence, Measured, ReleasePolicy
from shared.registry.state import Record
from shared.registry.verdicts import Roles
from shared.release import counted
from shared.release.counted import Minute
from shared.release.evidence import LOSSES, Comparison, compare, log_mean_e


class Stage(NamedTuple):
    """An alias since its last move. since: the revision of it. began: minutes since the epoch.

    carried: logarithm of the e-value that the steps before brought: see `carried`.
    """

    roles: Roles
    since: int
    began: int
    carried: float = 0.0


class Wait(NamedTuple):
    """reason: for what. evidence: so far; None without calls."""

    reason: str
    evidence: Evidence | None = None


class RollBack(NamedTuple):
    reason: str
    evidence: Evidence


class GoOn(NamedTuple):
    """step: the canary's weight from now on, in percent."""

    reason: str
    step: int
    evidence: Evidence


Verdict = Wait | RollBack | GoOn


def carried(moved: Record, roles: Roles) -> float:
    """What a stage begins with: the evidence of the step that began it, if a watcher made it with the same versions.

    So one alpha is for all steps of a release. After a person's move there is none: it is a new release.
    """
    before = moved.evidence
    if moved.kind != "step" or before is None or (before.stable, before.canary) != (roles.stable, roles.canary):
        return 0.0
    return before.log_e_worse


class Weighed(NamedTuple):
    """What counts say. final: the minutes that are taken. metrics: by name; log_e: of all, with what was carried."""

    final: list[Minute]
    metrics: dict[str, Comparison]
    log_e: float

    @property
    def calls(self) -> int:
        """Of the canary."""
        return sum(one.canary.calls for one in self.final)


def weigh(policy: ReleasePolicy, stage: Stage, minutes: Iterable[Minute], now: int) -> Weighed:
    """minutes: all since the stage began, in any order. now: minutes since the epoch."""
    final = counted.settled(minutes, now)
    losses = sorted({*LOSSES, policy.tolerated_loss})
    metrics = {name: compare(counted.blocks(final, name), losses) for name in policy.metrics}
    return Weighed(final, metrics, stage.carried + log_mean_e([one.log_e_worse for one in metrics.values()]))


def judge(policy: ReleasePolicy, stage: Stage, minutes: Iterable[Minute], now: int) -> Verdict:
    """As `weigh` and `decide`."""
    return decide(policy, stage, weigh(policy, stage, minutes, now), now)


def decide(policy: ReleasePolicy, stage: Stage, weighed: Weighed, now: int) -> Verdict:
    """now: minutes since the epoch."""
    final, metrics, log_e = weighed
    calls = weighed.calls
    if not calls:
        return Wait(
            f"no calls of version {stage.roles.canary} since {as_minute(stage.began)} are "
            "counted: a minute counts once the next one is over, too"
        )
    worse = log_e >= -math.log(policy.alpha)
    evidence = _evidence(policy, stage, final, metrics, log_e, worse)
    if worse:
        reason = _worse(evidence)
        return RollBack(reason, evidence) if policy.abort else Wait(f"{reason}; persons alone roll it back", evidence)
    if obstacle := _not_yet(policy, stage, now - stage.began, calls, metrics):
        return Wait(obstacle, evidence)
    step = next_step(policy, stage.roles)
    reason = f"no loss above {100 * policy.tolerated_loss:g} % after {calls:,} calls of version {stage.roles.canary}"
    if not policy.promote:
        return Wait(f"{reason}: ready for {step} %, to which a person moves it", evidence)
    return GoOn(reason, step, replace(evidence, verdict="no-loss"))


def next_step(policy: ReleasePolicy, roles: Roles) -> int:
    """The canary's weight after the present one, in percent."""
    return min(one for one in policy.steps if one > roles.weight or one == ALL)


def _not_yet(
    policy: ReleasePolicy, stage: Stage, elapsed: int, calls: int, metrics: dict[str, Comparison]
) -> str | None:
    """What is missing before the next step; None if nothing is. elapsed: minutes."""
    labels = metrics.get(WRONG_LABEL)
    if labels is not None and not labels.calls.canary:
        return (
            f"version {stage.roles.canary} has had {calls:,} calls, and there are no labels of both versions' answers: "
            "`amaas label give` says what they should have been"
        )
    if elapsed < policy.bake_minutes:
        return f"{elapsed} of {policy.bake_minutes} minutes are over"
    if calls < policy.least_requests:
        return f"version {stage.roles.canary} has had {calls:,} of {policy.least_requests:,} calls"
    for name, one in metrics.items():
        if one.log_e_loss[policy.tolerated_loss] < -math.log(policy.alpha):
            return (
                f"{_words(name)} of version {stage.roles.canary} may still be {100 * policy.tolerated_loss:g} % more: "
                f"{one.calls.canary_bad:,} of {one.calls.canary:,} calls, beside {one.calls.stable_bad:,} of "
                f"{one.calls.stable:,}; waits for more calls"
            )
    return None


def _evidence(
    policy: ReleasePolicy,
    stage: Stage,
    minutes: list[Minute],
    metrics: dict[str, Comparison],
    log_e: float,
    worse: bool,
) -> Evidence:
    measured = {}
    for name, one in metrics.items():
        rests_on = one.log_e_worse if worse else one.log_e_loss[policy.tolerated_loss]
        n, bad, m, stable_bad = one.calls
        measured[name] = Measured(
            canary=n,
            canary_bad=bad,
            stable=m,
            stable_bad=stable_bad,
            log_e=round(rests_on, 4),
            loss_bound=one.loss_bound(policy.alpha),
        )
    return Evidence(
        verdict="worse" if worse else "open",
        since=stage.since,
        stable=stage.roles.stable,
        canary=stage.roles.canary,
        log_e_worse=round(log_e, 4),
        carried=stage.carried,
        first=as_minute(minutes[0].minute),
        last=as_minute(minutes[-1].minute),
        metrics=measured,
        policy=policy,
    )


def _worse(evidence: Evidence) -> str:
    name = max(evidence.metrics, key=lambda one: evidence.metrics[one].log_e)
    most = evidence.metrics[name]
    return (
        f"version {evidence.canary} is worse than version {evidence.stable}: {_words(name)} in {most.canary_bad:,} of "
        f"{most.canary:,} calls, beside {most.stable_bad:,} of {most.stable:,}"
    )


def _words(metric: str) -> str:
    return metric.replace("_", " ")
