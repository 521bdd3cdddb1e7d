"""How surprising a figure is: the distributions that drift is judged by, without scipy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

TERMS = 100  # of Kolmogorov's series, which needs 4 where it matters
STEPS = 200  # of a bisection: more than a float has bits


def chi2_survival(value: float, freedom: int) -> float:
    """The probability that χ² with so many degrees of freedom is above a value.

    The finite series that the regularized gamma function has for whole degrees (Abramowitz and Stegun 26.4.4, 26.4.5).
    """
    if value <= 0 or freedom < 1:
        return 1.0
    half = value / 2
    if freedom % 2:
        total, term = math.erfc(math.sqrt(half)), math.sqrt(half) / math.gamma(1.5) * math.exp(-half)
        powers = [i + 1.5 for i in range(freedom // 2)]
    else:
        total, term = 0.0, math.exp(-half)
        powers = [i + 1.0 for i in range(freedom // 2)]
    for power in powers:
        total += term
        term *= half / power
    return min(total, 1.0)


@lru_cache(maxsize=512)
def chi2_quantile(alpha: float, freedom: int) -> float:
    """What χ² is above with the probability alpha, by bisection."""
    low, high = 0.0, float(freedom)
    while chi2_survival(high, freedom) > alpha:
        low, high = high, 2 * high
    for _ in range(STEPS):
        middle = (low + high) / 2
        if chi2_survival(middle, freedom) > alpha:
            low = middle
        else:
            high = middle
    return high


def kolmogorov_survival(distance: float, n: float) -> float:
    """The probability that the two-sample distance of Kolmogorov and Smirnov is above one; n: n m / (n + m).

    Asymptotic, with the correction of Stephens (1970). In bins the distance can only be smaller, so it errs to the safe
    side.
    """
    scaled = (math.sqrt(n) + 0.12 + 0.11 / math.sqrt(n)) * distance
    if scaled < 0.3:  # the series converges slowly there, and the sum is 1 to five digits
        return 1.0
    total = 0.0
    for k in range(1, TERMS):
        term = 2 * (-1) ** (k - 1) * math.exp(-2 * (k * scaled) ** 2)
        total += term
        if abs(term) < 1e-18:
            break
    return min(max(total, 0.0), 1.0)


def adjusted(probabilities: Sequence[float]) -> list[float]:
    """p-values after Benjamini and Hochberg (1995): those that are at most α have a share of false ones of α at most.

    If nothing differs, the probability that any of them is at most α is α itself.
    """
    order = sorted(range(len(probabilities)), key=lambda index: probabilities[index], reverse=True)
    smallest, result = 1.0, [1.0] * len(probabilities)
    for passed, index in enumerate(order):
        rank = len(probabilities) - passed
        smallest = min(smallest, probabilities[index] * len(probabilities) / rank)
        result[index] = smallest
    return result
