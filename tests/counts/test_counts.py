"""Counts are sums: in any order and grouping they come to the same; bins hold what they say."""

from __future__ import annotations

import math
from random import Random
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.counts import bins, labels
from shared.counts.counts import Counts, Row, Table, add_rows, to_rows
from shared.package.manifest import Manifest
from tests.counts import strategies


def total(*parts: Counts) -> Counts:
    sum_ = Counts()
    for part in parts:
        sum_.add(part)
    return sum_


@given(strategies.counts, strategies.counts, strategies.counts)
def test_adding_is_commutative_and_associative(a: Counts, b: Counts, c: Counts) -> None:
    assert total(a, b) == total(b, a)
    assert total(total(a, b), c) == total(a, total(b, c))
    assert total(a, Counts()) == total(a) == a


@given(strategies.counts, strategies.counts)
def test_adding_changes_only_what_is_added_to(a: Counts, b: Counts) -> None:
    before = msgspec.json.encode(b)
    total(a, b).add(a)
    assert msgspec.json.encode(b) == before


@given(strategies.counts)
def test_every_member_is_added(a: Counts) -> None:
    """Doubled, each number is twice what it was: no member is forgotten."""

    def numbers(value: object) -> list[int]:
        if isinstance(value, dict):
            return [n for inner in value.values() for n in numbers(inner)]
        return [value] if isinstance(value, int) else []

    doubled = total(a, a)
    assert [2 * n for n in numbers(msgspec.to_builtins(a))] == numbers(msgspec.to_builtins(doubled))


@given(st.lists(strategies.row, max_size=8), st.randoms())
def test_rows_come_to_the_same_table_in_any_order_and_grouping(rows: list[Row], random: Random) -> None:
    whole: Table = {}
    add_rows(whole, rows)
    shuffled = list(rows)
    random.shuffle(shuffled)
    parts: Table = {}
    for start in range(0, len(shuffled), 3):
        part: Table = {}
        add_rows(part, shuffled[start : start + 3])
        add_rows(parts, to_rows(part))
    assert parts == whole
    hours: Table = {}
    add_rows(hours, to_rows(whole), 60)
    assert sum(counts.requests for counts in hours.values()) == sum(row.counts.requests for row in rows)
    assert all(at % 60 == 0 for _, at in hours)


@given(st.integers(0, 2**45 * 1000))
def test_a_duration_is_in_the_bin_that_says_so(ns: int) -> None:
    number = bins.of_ns(ns)
    if number == bins.LAST:
        assert ns / 1000 >= 2 ** (bins.LAST / 4) * 0.999
    elif ns > 1000:
        assert 2 ** (number / 4) * 0.999999 <= ns / 1000 < 2 ** ((number + 1) / 4) * 1.000001
    else:
        assert number == 0


@given(st.lists(st.integers(1001, 10**11), min_size=1, max_size=200), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_quantile_is_as_near_as_it_says(durations: list[int], share: float) -> None:
    histogram: dict[int, int] = {}
    for ns in durations:
        histogram[bins.of_ns(ns)] = histogram.get(bins.of_ns(ns), 0) + 1
    exact = sorted(durations)[math.ceil(share * len(durations)) - 1] / 1e6
    found = bins.quantile(histogram, share)
    assert found is not None
    assert 1 / (1 + bins.ERROR) - 1e-6 <= found / exact <= 1 + bins.ERROR + 1e-6


def test_nothing_has_no_quantile() -> None:
    assert bins.quantile({}, 0.5) is None


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=50))
def test_values_are_placed_as_numpy_has_it(values: list[float]) -> None:
    edges = [-1.0, -0.5, 0.25, 1.0, 2.0]
    inside = np.histogram(np.array(values), edges)[0].tolist()
    placed = [bins.place(value, edges) for value in values]
    assert [placed.count(number) for number in range(1, len(edges))] == inside
    assert placed.count(0) == sum(value < -1 for value in values)
    assert placed.count(len(edges)) == sum(value > 2 for value in values)


@pytest.mark.parametrize(("value", "number"), [(math.nan, -1), (math.inf, 3), (-math.inf, 0)])
def test_what_is_no_number_has_a_bin_too(value: float, number: int) -> None:
    assert bins.place(value, [0.0, 0.5, 1.0]) == number


@pytest.mark.parametrize(
    "reference",
    [
        None, {}, [1], "x", {"scores": [1]}, {"scores": "x"}, {"scores": {"labels": [1]}}, {"scores": {"labels": "a"}},
        {"scores": {"labels": {"cat": "many", "dog": None, "cow": float("nan")}}},
    ],
)  # fmt: skip
def test_whatever_a_package_says_its_labels_have_names(reference: Any) -> None:
    assert sorted(labels.named(Manifest(labels=["cat", "dog"], reference=reference))) == ["cat", "dog"]


@pytest.mark.parametrize(
    "edges", [[0, 10**400], [0, float("nan")], [0, float("inf")], [1, 0], ["0", "1"], "01", None, 5]
)
def test_what_are_no_edges(edges: Any) -> None:
    assert not bins.is_scale(edges)
    assert bins.is_scale([0, 0.5, 10**200])
