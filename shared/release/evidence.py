"""Is the canary worse than the stable version? E-values from counts, valid at every look. judge.py decides by them.

While its hypothesis is true, an e-value has an expected value of at most 1, and so has their product over blocks of
calls: that it ever reaches 1/α has a probability of at most α, however often one looks (Ville's inequality). A block is
what came in a while: n calls of each version, so many of them bad. Within a block, each version has one rate of bad
calls; from block to block the rates may change, as in an outage that both share. How large a block is, and when it
ends, must not depend on what was bad.

Two hypotheses are tested: that the canary is not worse (canary - stable ≤ 0), to roll back; and that it is worse by a
loss or more (canary - stable ≥ loss), to go on. Each is a convex set of pairs of rates. For a pair outside of the set,
its likelihood over that of the set's point which is closest (Kullback-Leibler, weighted with n) is an e-value: Turner,
Ly and Grünwald, "Generic E-variables for exact sequential k-sample tests that allow for optional stopping" (2021);
Turner and Grünwald, "Exact anytime-valid confidence intervals for contingency tables and beyond" (2022). The pairs to
bet on are learned from the blocks before, by Bayes' rule on a grid: a mixture of e-values, chosen beforehand, is one.
How such tests watch releases: Lindon, Sanden and Shirikian (KDD 2022, arXiv 2205.14762).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# The grid: log-odds of the stable version's rate (0.005 % to 98 %), times the canary's odds over the stable version's,
# and how much is bet on each of these before anything is known. What is bet on "equal" stays, while nothing differs.
LOG_ODDS = np.arange(-10.0, 4.01, 0.3)
ODDS_RATIOS = np.array([0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0, 1000.0, 10000.0])
FIRST_BETS = np.array([1.0, 1.0, 6.0, *[1.0] * 9])
# of what was learned, with each call of the canary, and with a block at most: a version that begins to fail after a
# good hour is found out, too
FORGOTTEN, MOST_FORGOTTEN = 0.0002, 0.01
# the losses that a bound can say, as fractions of calls
LOSSES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
LEAST_BET = 1e-5  # pairs with less are not bet on against losses: each takes a search for its closest point
SEARCH_STEPS = 12  # of Newton's method, which doubles the digits with each
EDGE = 1e-12


class Block(NamedTuple):
    """Calls of the two versions in one while, and how many of them were bad."""

    canary: int = 0
    canary_bad: int = 0
    stable: int = 0
    stable_bad: int = 0


class Comparison(NamedTuple):
    """What blocks say together. calls: their sum.

    log_e_worse: natural logarithm of the e-value against "the canary is not worse". log_e_loss: by loss, of the one
    against "the canary is worse by this loss or more".
    """

    calls: Block
    log_e_worse: float
    log_e_loss: dict[float, float]

    def loss_bound(self, alpha: float) -> float | None:
        """The smallest loss that is excluded, with an error of alpha over all looks; None if none is."""
        return min((loss for loss, log_e in self.log_e_loss.items() if log_e >= -math.log(alpha)), default=None)


def compare(blocks: Iterable[Block], losses: Sequence[float] = LOSSES) -> Comparison:
    """The evidence of blocks, in the order in which they came.

    losses: above 0, below 1. Raises ValueError for a block with more bad calls than calls.
    """
    stable, canary, first = pairs()
    edges = np.array(losses)[:, None]
    bets, log_worse, log_losses, calls = first, 0.0, np.zeros(len(losses)), Block()
    for block in blocks:
        _require_counts(block)
        calls = Block(*(total + more for total, more in zip(calls, block, strict=True)))
        likelihood = log_likelihood(block, canary, stable)
        log_worse += float(log_mean_of(bets, log_e_worse_of(block, canary, stable, likelihood)))
        some = bets > LEAST_BET
        log_e = log_e_loss_of(block, canary[some], stable[some], likelihood[some], edges)
        log_losses += np.logaddexp(log_mean_of(bets[some], log_e), math.log(max(1 - bets[some].sum(), EDGE)))
        bets = learned(bets, likelihood, first, block)
    return Comparison(calls, log_worse, dict(zip(losses, log_losses.tolist(), strict=True)))


def log_mean_e(log_e_values: Sequence[float]) -> float:
    """The logarithm of the mean of e-values, which is one again, however they depend on each other.

    It reaches 1/α whenever one of k reaches k/α: it finds no later than α/k for each would.
    """
    highest = max(log_e_values)
    return highest + math.log(math.fsum(math.exp(one - highest) for one in log_e_values) / len(log_e_values))


def pairs() -> tuple[Floats, Floats, Floats]:
    """The stable version's and the canary's rate of each pair, and what is bet on it at first, in sum 1."""
    stable = np.repeat(LOG_ODDS, len(ODDS_RATIOS))
    canary = stable + np.tile(np.log(ODDS_RATIOS), len(LOG_ODDS))
    bets = np.tile(FIRST_BETS, len(LOG_ODDS))
    return 1 / (1 + np.exp(-stable)), 1 / (1 + np.exp(-canary)), bets / bets.sum()


def learned(bets: Floats, likelihood: Floats, first: Floats, block: Block) -> Floats:
    """The bets after a block. The pairs are in the last axis; axes before it, if any, are of other canaries."""
    forgotten = np.minimum(FORGOTTEN * block.canary, MOST_FORGOTTEN)
    after = bets * np.exp(likelihood - likelihood.max(axis=-1, keepdims=True))
    bets_after: Floats = (1 - forgotten) * after / after.sum(axis=-1, keepdims=True) + forgotten * first
    return bets_after


def _require_counts(block: Block) -> None:
    if not (0 <= block.canary_bad <= block.canary and 0 <= block.stable_bad <= block.stable):
        raise ValueError(f"no counts of calls and of bad ones among them: {block}")


def log_likelihood(block: Block, canary: Floats, stable: Floats) -> Floats:
    """Of the block's calls, in any one order. Rates are above 0 and below 1."""
    of_canary: Floats = block.canary_bad * np.log(canary) + (block.canary - block.canary_bad) * np.log1p(-canary)
    of_stable: Floats = block.stable_bad * np.log(stable) + (block.stable - block.stable_bad) * np.log1p(-stable)
    return of_canary + of_stable


def log_e_worse_of(block: Block, canary: Floats, stable: Floats, likelihood: Floats) -> Floats:
    """Of each pair against "canary - stable ≤ 0", whose closest point has one rate for both: their mean, by n.

    A pair inside of the set is its own closest point: 0. Counts may be arrays, as in `learned`.
    """
    common = (block.canary * canary + block.stable * stable) / np.maximum(block.canary + block.stable, 1)
    common = np.clip(common, EDGE, 1 - EDGE)  # of an empty block
    return np.where(canary > stable, likelihood - log_likelihood(block, common, common), 0.0)


def log_e_loss_of(block: Block, canary: Floats, stable: Floats, likelihood: Floats, losses: Floats) -> Floats:
    """Of each pair (columns) against "canary - stable ≥ loss" (rows), whose closest point is (rate + loss, rate)."""
    rate, excess = _closest_on_edge(block, canary, stable, losses)
    log_e = likelihood - log_likelihood(block, rate + losses, rate) - excess
    return np.where(canary - stable < losses, log_e, 0.0)


def _closest_on_edge(block: Block, canary: Floats, stable: Floats, losses: Floats) -> tuple[Floats, Floats]:
    """The stable version's rate at the closest point, and the logarithm of what the e-value can exceed 1 by at most.

    Along the edge the divergence is convex: a search for slope 0. Another point than the closest is as good, once its
    e-value is divided by exp(|slope| * distance to the end of the edge): the second result, most often 0 or nearly.
    """
    low = np.maximum(canary - losses, EDGE)
    high = np.maximum(np.minimum(stable + 0 * losses, 1 - losses - EDGE), low)
    rate = high
    for _ in range(SEARCH_STEPS):
        cubic, change = _cubic(block, canary, stable, rate, losses)
        low, high = np.where(cubic < 0, rate, low), np.where(cubic < 0, high, rate)
        step = rate - cubic / np.where(change > 0, change, np.inf)
        rate = np.where((step >= low) & (step <= high), step, (low + high) / 2)
    worse = rate + losses
    slope = _cubic(block, canary, stable, rate, losses)[0] / (rate * (1 - rate) * worse * (1 - worse))
    return rate, np.maximum(slope * rate, -slope * (1 - losses - rate))


def _cubic(block: Block, canary: Floats, stable: Floats, rate: Floats, losses: Floats) -> tuple[Floats, Floats]:
    """The slope of n_canary KL(canary, rate + loss) + n_stable KL(stable, rate), times all that it is divided by.

    And how that changes with `rate`.
    """
    worse = rate + losses
    of_canary, of_stable = block.canary * (worse - canary), block.stable * (rate - stable)
    cubic = of_canary * rate * (1 - rate) + of_stable * worse * (1 - worse)
    change = of_canary * (1 - 2 * rate) + of_stable * (1 - 2 * worse)
    return cubic, change + block.canary * rate * (1 - rate) + block.stable * worse * (1 - worse)


def log_mean_of(bets: Floats, log_e: Floats) -> Floats:
    """The logarithm of the e-value that a mixture of bets has. The pairs are in the last axis."""
    highest = log_e.max(axis=-1, keepdims=True)
    mean: Floats = np.log((np.exp(log_e - highest) * bets).sum(axis=-1)) + highest[..., 0]
    return mean
