"""The answer to `GET /models/{model}/aliases/{alias}/release`: what a look would decide now, and on what it rests."""

from __future__ import annotations

import math
import time

from shared.clock import as_minute
from shared.errors import NotFound, Unavailable
from shared.registry import models, verdicts
from shared.registry import views as registry
from shared.registry.log import Log
from shared.registry.state import Head
from shared.release import judge, stored, views, watch
from shared.release.judge import GoOn, RollBack, Verdict, Wait, Weighed
from shared.release.stored import StageCounts
from shared.release.watch import Canary

NAMES = {Wait: "wait", RollBack: "roll-back", GoOn: "go-on"}


def of_alias(log: Log, model: str, alias: str) -> views.Release:
    """Raises NotFound; Unavailable for counts that cannot be read, or cannot be."""
    head = models.get(log, model)
    present = head.aliases.get(alias)
    if present is None:
        raise NotFound(f"model {model!r} has no alias {alias!r}: it has {', '.join(sorted(head.aliases)) or 'none'}")
    now = int(time.time() // 60)
    release = views.Release(
        model=model,
        alias=alias,
        revision=head.revision,
        target=registry.target(present.target),
        policy=registry.policy(head.policy(alias)).release or None,
        stage=None,
        verdict=None,
        reason=watch.unwatched(head, alias) or "",
        obstacle=None,
        evidence=None,
    )
    canary = watch.find(log, head, alias)
    if canary is not None:
        _judge(release, log, head, canary, now)
    return release


def _judge(release: views.Release, log: Log, head: Head, canary: Canary, now: int) -> None:
    counts = stored.counts_of(log.store, canary, now)
    try:
        weighed = judge.weigh(canary.policy, canary.stage, counts.minutes, now)
    except ValueError as error:  # a damaged object is not taken for a bad version
        raise Unavailable(f"the counts of alias {canary.alias!r} cannot be judged: {error}") from error
    verdict = judge.decide(canary.policy, canary.stage, weighed, now)
    release.stage = _stage(canary, now)
    release.verdict = NAMES[type(verdict)]  # type: ignore[assignment]
    release.reason = verdict.reason
    release.obstacle = _obstacle(log, head, canary.alias, verdict)
    release.evidence = _evidence(canary, weighed, counts)


def _obstacle(log: Log, head: Head, alias: str, verdict: Verdict) -> str | None:
    if isinstance(verdict, Wait):
        return None
    step = verdict.step if isinstance(verdict, GoOn) else None
    return verdicts.obstacle(log, head, alias, step, verdict.evidence)


def _stage(canary: Canary, now: int) -> views.ReleaseStage:
    roles = canary.stage.roles
    return views.ReleaseStage(
        stable=roles.stable,
        canary=roles.canary,
        weight=roles.weight,
        next_step=judge.next_step(canary.policy, roles),
        since=canary.stage.since,
        began=as_minute(canary.stage.began),
        minutes=max(now - canary.stage.began, 0),
    )


def _evidence(canary: Canary, weighed: Weighed, counts: StageCounts) -> views.ReleaseEvidence:
    policy, final = canary.policy, weighed.final
    metrics = {}
    for name, one in weighed.metrics.items():
        n, bad, m, stable_bad = one.calls
        metrics[name] = views.ReleaseMetric(
            canary=n,
            canary_bad=bad,
            stable=m,
            stable_bad=stable_bad,
            log_e_worse=round(one.log_e_worse, 4),
            log_e_no_loss=round(one.log_e_loss[policy.tolerated_loss], 4),
            loss_bound=one.loss_bound(policy.alpha),
        )
    return views.ReleaseEvidence(
        calls=weighed.calls,
        log_e_worse=round(weighed.log_e, 4),
        carried=canary.stage.carried,
        needed=round(-math.log(policy.alpha), 4),
        first=as_minute(final[0].minute) if final else None,
        last=as_minute(final[-1].minute) if final else None,
        metrics=metrics,
        left_out=counts.left_out,
        dropped=counts.dropped,
    )
