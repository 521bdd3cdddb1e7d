"""Distributions against published tables, and against simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.drift.significance import adjusted, chi2_quantile, chi2_survival, kolmogorov_survival

# NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.4: upper critical values
TABLE = [
    (1, 0.10, 2.706),
    (1, 0.001, 10.828),
    (2, 0.05, 5.991),
    (5, 0.01, 15.086),
    (9, 0.001, 27.877),
    (10, 0.05, 18.307),
    (19, 0.01, 36.191),
    (50, 0.05, 67.505),
    (100, 0.001, 149.449),
]


@pytest.mark.parametrize(("freedom", "alpha", "value"), TABLE)
def test_chi2_as_in_the_tables(freedom: int, alpha: float, value: float) -> None:
    assert chi2_quantile(alpha, freedom) == pytest.approx(value, abs=6e-4)
    assert chi2_survival(value, freedom) == pytest.approx(alpha, rel=2e-3)


@given(st.integers(1, 300), st.floats(1e-12, 0.999))
def test_the_quantile_is_the_inverse_of_the_survival(freedom: int, alpha: float) -> None:
    assert chi2_survival(chi2_quantile(alpha, freedom), freedom) == pytest.approx(alpha, rel=1e-9)


def test_chi2_at_its_ends() -> None:
    assert chi2_survival(0.0, 4) == chi2_survival(-1.0, 4) == chi2_survival(3.0, 0) == 1.0
    assert 0 <= chi2_survival(1e6, 9) < 1e-300 or chi2_survival(1e6, 9) == 0.0


# critical values of the limit: Smirnov (1948)
@pytest.mark.parametrize(("scaled", "alpha"), [(1.2238, 0.10), (1.3581, 0.05), (1.6276, 0.01), (1.9495, 0.001)])
def test_kolmogorov_as_in_the_tables(scaled: float, alpha: float) -> None:
    n = 1e12
    assert kolmogorov_survival(scaled / math.sqrt(n), n) == pytest.approx(alpha, rel=2e-3)
    assert kolmogorov_survival(0.0, 100) == 1.0
    assert kolmogorov_survival(1.0, 1000) < 1e-300 or kolmogorov_survival(1.0, 1000) == 0.0


def test_benjamini_and_hochberg_as_in_their_paper() -> None:
    """Their section 3.2: of 15 comparisons, four are rejected at 0.05, and Bonferroni rejects three."""
    published = [
        0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528,
        0.7590, 1.0000,
    ]  # fmt: skip
    assert [value <= 0.05 for value in adjusted(published)] == [True] * 4 + [False] * 11
    shuffled = published[::-1]
    assert adjusted(shuffled) == adjusted(published)[::-1]
    assert adjusted([]) == []


def test_where_nothing_differs_any_false_one_is_as_rare_as_said() -> None:
    random = np.random.default_rng(3)
    false = sum(min(adjusted(random.random(8).tolist())) <= 0.05 for _ in range(4000))
    assert 0.04 < false / 4000 < 0.06
