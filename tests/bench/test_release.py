"""The simulation of canaries: it is what the product computes, and the product keeps its word."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.release import canaries, rules
from bench.release.__main__ import upper
from bench.release.canaries import Traffic
from shared.release import counted
from shared.release.counted import Group, Minute
from shared.release.evidence import Block, compare

ALPHA = 0.05


def most_by_chance(n: int, rate: float, error: float = 1e-6) -> int:
    """More than so many of n have a probability of less than `error`, exactly."""
    left, hits = 1.0, -1
    while left > error:
        hits += 1
        left -= math.comb(n, hits) * rate**hits * (1 - rate) ** (n - hits)
    return hits


@pytest.mark.parametrize("outages", [0.0, 0.2])
def test_equal_versions_are_rarely_rolled_back(outages: float) -> None:
    """In at most α of the runs, up to chance: an exact bound on the number, for the seed is fixed."""
    runs = 600
    counts = Traffic(0.05, 0.05, calls=60, minutes=60, outages=outages).counts(runs, np.random.default_rng(1))
    alarms = int((canaries.log_e(counts).max(axis=1) >= -math.log(ALPHA)).sum())
    assert alarms <= most_by_chance(runs, ALPHA)
    assert alarms > 0  # else too few runs to show anything


def test_a_loss_is_rarely_excluded_where_there_is_one() -> None:
    runs, loss = 300, 0.05
    counts = Traffic(0.02, 0.02 + loss, calls=100, weight=0.2, minutes=40).counts(runs, np.random.default_rng(2))
    alarms = int((canaries.log_e(counts, loss).max(axis=1) >= -math.log(ALPHA)).sum())
    assert 0 < alarms <= most_by_chance(runs, ALPHA)


def test_a_rule_that_forgets_how_often_it_looked_is_found_out() -> None:
    """Negative control: the z-test at 5 %, looked at again and again."""
    random = np.random.default_rng(3)
    bad = random.random((600, 600)) < 0.05
    stops = rules.z_test(bad, random.binomial(9, 0.05, bad.shape), every=10)
    assert np.isfinite(stops).sum() > most_by_chance(600, ALPHA)


@pytest.mark.parametrize("loss", [None, 0.02])
def test_it_is_what_the_product_computes(loss: float | None) -> None:
    counts = Traffic(0.05, 0.1, calls=8, minutes=30).counts(4, np.random.default_rng(4))
    paths = canaries.log_e(counts, loss)
    for run in range(4):
        n, bad, m, stable_bad = (part[run].tolist() for part in counts)
        minutes = [
            Minute(at, Group(n[at], {"e": (n[at], bad[at])}), Group(m[at], {"e": (m[at], stable_bad[at])}))
            for at in range(30)
        ]
        one = compare(counted.blocks(minutes, "e"), [loss or 0.5])
        assert paths[run, -1] == pytest.approx(one.log_e_worse if loss is None else one.log_e_loss[loss], abs=0.02)


def test_stops_are_where_the_evidence_is_enough() -> None:
    counts = Traffic(0.05, 0.5, calls=30, minutes=25).counts(40, np.random.default_rng(6))
    enough = canaries.log_e(counts) >= math.log(20)
    expected = rules.first(enough, np.arange(25))
    stops = canaries.calls_until_stopped(counts, math.log(20))
    assert np.isfinite(expected).sum() > 30
    for run in range(40):
        at = expected[run]
        assert stops[run] == (counts.canary[run, : int(at) + 1].sum() if np.isfinite(at) else np.inf)


def test_late_counts_are_as_if_they_had_come_in_time_once_they_are_there() -> None:
    counts = Traffic(0.05, 0.3, calls=30, minutes=12).counts(3, np.random.default_rng(5))
    none = Block(*(np.zeros_like(part) for part in counts))
    in_time = canaries.log_e(counts)
    assert canaries.log_e_late(counts, none, 4) == pytest.approx(in_time)
    late = Block(*(np.where(np.arange(12) < 8, part, 0) for part in counts))  # whole minutes, all of them there at last
    paths = canaries.log_e_late(counts, late, 4)
    assert paths[:, -1] == pytest.approx(in_time[:, -1])
    assert (paths[:, :4] == 0).all()


def test_rules() -> None:
    bad = np.zeros((2, 100), dtype=bool)
    bad[1, 60:] = True
    assert rules.window(bad, 20).tolist() == [np.inf, 62]
    assert rules.z_test(bad, np.zeros(bad.shape, dtype=int)).tolist() == [np.inf, 100]


def test_the_upper_end_of_an_interval() -> None:
    assert upper(0, 10_000) == pytest.approx(0.000369, abs=1e-6)  # 1 - 0.025 ** (1 / n)
    assert upper(5, 100) == pytest.approx(0.1128, abs=1e-4)  # Clopper and Pearson's
