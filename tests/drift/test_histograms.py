"""Two histograms compared: how often chance alone seems to be drift, what is found, and how bins are joined."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.drift.histograms import LEAST_EXPECTED, Column, compare, parts

EDGES = [float(number) for number in range(19)]


def column(reference: list[int], counts: list[int], **more: object) -> Column:
    known = {"edges": EDGES[: len(reference) - 1]} | more
    return Column(name="c", reference=reference, counts=counts, **known)  # type: ignore[arg-type]


def drawn(n: int, m: int, random: np.random.Generator, ordered: bool = True) -> Column:
    shares = random.dirichlet([2.0] * 20)
    reference, counts = (random.multinomial(size, shares).tolist() for size in (m, n))
    if ordered:
        return column(reference, counts)
    return Column(name="c", reference=reference, counts=counts, names=[f"l{k}" for k in range(20)])


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize(("n", "m"), [(100, 100), (100, 6000), (1000, 400), (100_000, 1000)])
def test_chance_alone_is_as_rare_as_said(n: int, m: int, ordered: bool) -> None:
    """At 1 %, by psi or by distance, which is tested twice and corrected for."""
    random = np.random.default_rng([n, m, ordered])
    compared = [compare(drawn(n, m, random, ordered), 0.01) for _ in range(2000)]
    known = [one for one in compared if one is not None]
    assert len(known) == 2000
    assert sum(one.probability <= 0.01 for one in known) / 2000 < 0.02
    assert sum(one.psi > one.threshold for one in known) / 2000 < 0.02
    # what is corrected for chance is about zero: one constant can say what matters
    assert np.mean([one.effect for one in known]) < 0.3 * np.mean([one.psi for one in known]) + 1e-9


def test_the_same_difference_is_found_once_there_are_enough_items() -> None:
    few = compare(column([100, 100, 100, 100], [20, 30, 30, 40]), 1e-5)
    many = compare(column([10_000] * 4, [2000, 3000, 3000, 4000]), 1e-5)
    assert few is not None and many is not None
    assert few.psi < few.threshold and many.psi > many.threshold
    assert few.probability > 1e-5 > many.probability
    assert many.effect == pytest.approx(many.psi, rel=0.05)


def test_a_shift_between_neighbors_is_found_by_distance() -> None:
    shifted = compare(column([100] * 20, [60] * 10 + [140] * 10), 1e-5)
    assert shifted is not None and shifted.distance == pytest.approx(0.2)
    assert shifted.probability < 1e-9


def test_values_beyond_the_reference_are_in_its_outer_bins() -> None:
    beyond = compare(column([0, 500, 500, 0], [0, 0, 0, 400]), 1e-5)
    assert beyond is not None
    assert [part.name for part in beyond.parts] == ["below 1", "from 1 on"]
    assert beyond.probability < 1e-20 and beyond.effect > 1


def test_absent_values_are_a_part_of_their_own() -> None:
    gaps = compare(column([100] * 5, [20] * 5, absent=(0, 60)), 1e-5)
    assert gaps is not None and gaps.parts[-1].name == "absent" and gaps.n == 160
    assert gaps.probability < 1e-5 and gaps.effect > 0.25
    none = compare(column([100] * 5, [20] * 5, absent=(0, 0)), 1e-5)
    assert none is not None and none.probability == 1.0


def test_too_few_items_say_nothing() -> None:
    assert compare(column([100] * 5, [19] * 5), 0.01) is None
    assert compare(column([9] * 5, [100] * 5), 0.01) is None
    assert compare(column([100, 0, 0], [100, 0, 0]), 0.01) is None  # all in one part
    assert compare(Column(name="c", reference=[], counts=[], names=[]), 0.01) is None


@given(
    st.lists(st.integers(0, 1000), min_size=2, max_size=20),
    st.lists(st.integers(0, 1000), min_size=20, max_size=20),
    st.booleans(),
)
def test_bins_are_joined_whole_and_without_a_look_at_what_the_items_are_like(
    reference: list[int], counts: list[int], ordered: bool
) -> None:
    counts = counts[: len(reference)]
    kind = {} if ordered else {"edges": None, "names": [str(number) for number in range(len(reference))]}
    joined = parts(column(reference, counts, **kind))
    assert sorted(number for part in joined for number in part.bins) == list(range(len(reference)))
    assert sum(part.reference for part in joined) == sum(reference)
    assert sum(part.count for part in joined) == sum(counts)
    other = parts(column(reference, counts[::-1], **kind))
    assert [part.bins for part in other] == [part.bins for part in joined]
    if ordered and len(joined) > 1:
        smaller = min(sum(reference), sum(counts))
        assert all(part.reference * smaller >= LEAST_EXPECTED * sum(reference) for part in joined)
