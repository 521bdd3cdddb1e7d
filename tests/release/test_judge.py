"""What follows from counts, by a release policy: whole releases, and what each wait says."""

from __future__ import annotations

import random

import numpy as np
import pytest
from msgspec.structs import replace

from shared.registry.releases import ReleasePolicy
from shared.registry.state import Record
from shared.registry.verdicts import Roles
from shared.release import counted
from shared.release.counted import Group, Minute
from shared.release.evidence import Block
from shared.release.judge import GoOn, RollBack, Stage, Verdict, Wait, carried, judge

POLICY = ReleasePolicy(bake_minutes=10, least_requests=100, tolerated_loss=0.02, promote=True)
ERRORS = "server_errors"
FAST = {40: 90, 44: 10}


def group(calls: int, bad: int = 0, times: dict[int, int] | None = None) -> Group:
    return Group(calls, {ERRORS: (calls, bad)}, times or {})


def a_stage(weight: float = 5, since: int = 7, log_e: float = 0.0) -> Stage:
    return Stage(Roles(1, 2, weight), since, 0, log_e)


class Traffic:
    """A minute's counts, as a split of `calls` would leave them."""

    def __init__(self, seed: int, stable: float, canary: float, calls: int = 400) -> None:
        self.random, self.rates, self.calls = np.random.default_rng(seed), (stable, canary), calls

    def minute(self, number: int, weight: float) -> Minute:
        ours = int(self.random.binomial(self.calls, weight / 100))
        stable, canary = self.rates
        bad, stable_bad = self.random.binomial(ours, canary), self.random.binomial(self.calls - ours, stable)
        return Minute(number, group(ours, int(bad)), group(self.calls - ours, int(stable_bad)))


def run(traffic: Traffic, policy: ReleasePolicy = POLICY, most: int = 2000) -> list[tuple[float, int, Verdict]]:
    """A release, looked at each minute: the weight, minute and verdict of each stage."""
    stage, minutes, stages = a_stage(policy.steps[0]), list[Minute](), []
    for now in range(1, most):
        minutes.append(traffic.minute(now - 1, stage.roles.weight))
        verdict = judge(policy, stage, minutes, now)
        if isinstance(verdict, Wait):
            continue
        stages.append((stage.roles.weight, now - stage.began, verdict))
        if isinstance(verdict, RollBack) or verdict.step == 100:
            return stages
        roles = Roles(1, 2, verdict.step)
        moved = Record(kind="step", by="watcher", evidence=verdict.evidence)
        stage = Stage(roles, stage.since + 1, now, carried(moved, roles))
        minutes.clear()
    return stages


# ---- whole releases


def test_a_good_version_goes_all_the_way() -> None:
    stages = run(Traffic(1, 0.01, 0.01))
    assert [weight for weight, _, _ in stages] == [5, 25, 50]
    assert [verdict.step for _, _, verdict in stages] == [25, 50, 100]
    assert all(minutes >= POLICY.bake_minutes for _, minutes, _ in stages)


@pytest.mark.parametrize(("canary", "within"), [(1.0, 3), (0.2, 8), (0.05, 60)])
def test_a_worse_version_is_rolled_back_on_its_first_step(canary: float, within: int) -> None:
    ((weight, minutes, verdict),) = run(Traffic(2, 0.01, canary))
    assert isinstance(verdict, RollBack) and weight == 5 and minutes <= within + counted.SETTLED
    assert "version 2 is worse than version 1: server errors in" in verdict.reason


def test_a_version_that_breaks_at_a_quarter_is_rolled_back_there() -> None:
    traffic = Traffic(3, 0.01, 0.01)
    calm = traffic.minute

    def minute(number: int, weight: float) -> Minute:
        traffic.rates = (0.01, 0.01 if weight < 25 else 0.3)
        return calm(number, weight)

    traffic.minute = minute  # type: ignore[method-assign]
    stages = run(traffic)
    assert [type(verdict) for _, _, verdict in stages] == [GoOn, RollBack]


def test_evidence_goes_on_over_steps() -> None:
    """What one step alone does not show, both do: the e-values are multiplied."""
    minutes = [Minute(n, group(20, 2), group(380, 8)) for n in range(3)]
    alone = judge(POLICY, a_stage(), minutes, 9)
    assert isinstance(alone, Wait) and 1 < alone.evidence.log_e_worse < 4.6
    before = 4.6 - alone.evidence.log_e_worse
    both = judge(POLICY, a_stage(log_e=before + 0.01), minutes, 9)
    assert isinstance(both, RollBack)
    assert both.evidence.log_e_worse == pytest.approx(4.61, abs=1e-3)
    assert isinstance(judge(POLICY, a_stage(log_e=before - 0.01), minutes, 9), Wait)


def test_only_a_watchers_step_with_the_same_versions_hands_evidence_on() -> None:
    verdict = judge(POLICY, a_stage(), [Minute(n, group(20, 2), group(380, 8)) for n in range(5)], 10)
    step = Record(kind="step", by="watcher", evidence=verdict.evidence)
    assert carried(step, Roles(1, 2, 25)) == verdict.evidence.log_e_worse
    assert carried(step, Roles(1, 3, 25)) == 0
    assert carried(Record(kind="alias", by="ann"), Roles(1, 2, 25)) == 0


# ---- waiting


LABELS = replace(POLICY, metrics=("wrong_label",))
GOOD = [Minute(n, group(50), group(950)) for n in range(40)]


@pytest.mark.parametrize(
    ("minutes", "now", "policy", "words"),
    [
        ([], 5, POLICY, "no calls of version 2 since 1970-01-01T00:00Z are counted: a minute counts once"),
        ([Minute(0, group(0), group(500))], 50, POLICY, "no calls of version 2"),
        (GOOD[:8], 9, POLICY, "9 of 10 minutes are over"),
        (GOOD[:8], 9, LABELS, "version 2 has had 400 calls, and there are no labels of both versions' answers: `amaas"),
        (GOOD[:1], 30, POLICY, "version 2 has had 50 of 100 calls"),
        (GOOD[:2], 30, POLICY, "server errors of version 2 may still be 2 % more: 0 of 100 calls, beside 0 of 1,900"),
        (GOOD, 60, ReleasePolicy(), "ready for 25 %, to which a person moves it"),
    ],
)
def test_what_it_waits_for(minutes: list[Minute], now: int, policy: ReleasePolicy, words: str) -> None:
    verdict = judge(policy, a_stage(), minutes, now)
    assert isinstance(verdict, Wait)
    assert words in verdict.reason
    assert verdict.evidence is None or verdict.evidence.verdict == "open"


def test_a_worse_version_waits_for_persons_where_they_want_that() -> None:
    verdict = judge(ReleasePolicy(abort=False), a_stage(), [Minute(0, group(50, 50), group(950))], 5)
    assert isinstance(verdict, Wait) and verdict.evidence.verdict == "worse"


def test_one_call_a_minute_is_put_together_until_both_versions_are_in() -> None:
    minutes = [Minute(n, group(n % 10 == 9, n % 10 == 9), group(n % 10 != 9)) for n in range(50)]
    assert counted.blocks(minutes, ERRORS) == [Block(1, 1, 9, 0)] * 5
    assert isinstance(judge(POLICY, a_stage(), minutes, 60), RollBack)


def test_the_last_minutes_are_not_final() -> None:
    minutes = [Minute(n, group(5, 5), group(95)) for n in range(3)]
    assert isinstance(judge(POLICY, a_stage(), minutes, 1), Wait)
    assert isinstance(judge(POLICY, a_stage(), minutes, 2), RollBack)


def test_steps_above_a_weight_that_a_person_chose() -> None:
    for weight, step in ((10, 25), (25, 50), (60, 100), (99, 100)):
        verdict = judge(POLICY, a_stage(weight), GOOD, 60)
        assert isinstance(verdict, GoOn) and verdict.step == step
        assert verdict.evidence.verdict == "no-loss"


# ---- what is bad


def test_slow_is_beyond_what_the_stable_version_was_before() -> None:
    policy = ReleasePolicy(metrics=("slow",))
    same = [Minute(n, group(100, times=FAST), group(1000, times={40: 900, 44: 100})) for n in range(10)]
    assert counted.blocks(same, "slow") == [Block(100, 0, 1000, 0)] * 9  # the first one has no threshold yet
    slow = [Minute(n, group(100, times={40: 50, 60: 50}), group(1000, times={40: 900, 44: 100})) for n in range(10)]
    assert isinstance(judge(policy, a_stage(), same, 20), Wait)
    verdict = judge(policy, a_stage(), slow, 20)
    assert isinstance(verdict, RollBack) and "slow in 450 of 900 calls" in verdict.reason
    both = [Minute(n, group(100, times={60: 100}), group(1000, times={60: 1000})) for n in range(10)]
    assert isinstance(judge(policy, a_stage(), same[:2] + both[2:], 20), Wait)


def test_a_threshold_is_not_of_the_block_that_it_is_applied_to() -> None:
    minutes = [Minute(n, group(10, times={40: 10}), group(100, times={40: 100})) for n in range(3)]
    last = Minute(3, group(10, times={90: 10}), group(100, times={90: 100}))
    assert counted.blocks([*minutes, last], "slow")[-1] == Block(10, 10, 100, 100)


def test_several_metrics_share_alpha() -> None:
    """The mean of e-values: beside another one that says nothing, one has to say twice as much."""
    minutes = [Minute(n, Group(9, {ERRORS: (9, 2), "shadow_differs": (9, 0)}), group(91, 1)) for n in range(2)]
    minutes = [
        one._replace(stable=Group(91, {ERRORS: one.stable.events[ERRORS], "shadow_differs": (91, 0)}))
        for one in minutes
    ]
    alone = judge(POLICY, a_stage(), minutes, 9)
    both = judge(ReleasePolicy(metrics=(ERRORS, "shadow_differs")), a_stage(), minutes, 9)
    assert both.evidence.log_e_worse == pytest.approx(alone.evidence.log_e_worse - np.log(2), abs=0.1)


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_what_is_read_does_not_matter(seed: int) -> None:
    traffic = Traffic(seed, 0.02, 0.05)
    minutes = [traffic.minute(n, 10) for n in range(30)]
    shuffled = random.Random(seed).sample(minutes, len(minutes))
    assert judge(POLICY, a_stage(10), shuffled, 60) == judge(POLICY, a_stage(10), minutes, 60)
