"""Accuracy without labels: right where scores mean what they did, with an interval that keeps its word."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from shared.accuracy.estimate import LEAST, Calibration, _parts, calibration, estimate
from shared.counts.counts import SCORES
from shared.package.manifest import Manifest

RISING = np.linspace(0.3, 0.99, SCORES)  # how often a score of each bin is right


def drawn(shares: np.ndarray, n: int, random: np.random.Generator) -> tuple[list[int], list[int]]:
    """Items by bins of their score, and how many of them are right."""
    counts = random.multinomial(n, shares)
    return counts.tolist(), random.binomial(counts, RISING).tolist()


@pytest.mark.parametrize(("test", "calls"), [(300, 200), (1000, 5000), (10_000, 300)])
def test_the_interval_has_the_accuracy_as_often_as_it_says(test: int, calls: int) -> None:
    """Of calls with lower scores than the test split's: the accuracy falls, and is followed."""
    random = np.random.default_rng([test, calls])
    shares = np.linspace(0.5, 1.5, SCORES) / SCORES
    inside, fell = 0, 0
    for _ in range(1000):
        counts, right = drawn(shares, test, random)
        scores, actually_right = drawn(shares[::-1], calls, random)
        found = estimate(Calibration(counts=counts, right=right), dict(enumerate(scores)))
        assert found is not None and found.items == calls
        inside += found.low <= sum(actually_right) / calls <= found.high
        fell += found.accuracy < found.trained
    assert inside > 900
    assert fell > 900


def test_without_items_there_is_no_estimate() -> None:
    table = Calibration(counts=[50] * SCORES, right=[25] * SCORES)
    assert estimate(table, {}) is None
    found = estimate(table, {3: 100})
    assert found is not None and found.accuracy == pytest.approx(0.5)
    assert 0.3 < found.low < 0.5 < found.high < 0.7


def test_bins_are_joined_until_the_test_split_has_enough_in_each() -> None:
    parts = _parts([1] * 10 + [LEAST] * 10)
    assert [len(part) for part in parts] == [11, *[1] * 9]
    assert _parts([LEAST, *[0] * 19]) == [list(range(SCORES))]
    assert _parts([1] * SCORES) == [list(range(SCORES))]


@pytest.mark.parametrize(
    "described",
    [
        None,
        [],
        {"counts": [50] * 19, "right": [1] * 19},
        {"counts": [50] * 20, "right": [51] * 20},
        {"counts": [-1] * 20, "right": [-1] * 20},
        {"counts": [50.0] * 20, "right": [1] * 20},
        {"counts": [True] * 20, "right": [True] * 20},
        {"counts": [0] * 20, "right": [0] * 20},
        {"counts": "x", "right": None},
    ],
)
def test_a_table_that_cannot_be_one_is_none(described: Any) -> None:
    assert calibration(Manifest(reference={"scores": {"calibration": described}})) is None
    assert calibration(Manifest(reference={"scores": 3})) is None
    assert calibration(Manifest()) is None
