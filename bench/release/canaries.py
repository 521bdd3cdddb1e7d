"""Many canaries at once, and what the evidence says of each after every minute. Arrays are (canaries, minutes)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shared.release import evidence
from shared.release.evidence import Block, Floats

AT_ONCE = 250  # canaries: arrays of these, times the pairs of the grid, stay in the processor's cache


@dataclass(frozen=True)
class Traffic:
    """What canaries are given. rates: of bad calls, of the stable version and the canary.

    calls: a minute, of both versions. weight: the canary's, of 1. outages: minutes, each with this probability, in
    which half of all calls fail, whichever version they reach.
    """

    stable: float
    canary: float
    calls: int = 50
    weight: float = 0.1
    minutes: int = 800
    outages: float = 0.0

    def counts(self, canaries: int, random: np.random.Generator) -> Block:
        """Of each canary and minute."""
        shape = (canaries, self.minutes)
        ours = random.binomial(self.calls, self.weight, shape)
        out = random.random(shape) < self.outages
        bad, stable_bad = (np.where(out, 0.5, rate) for rate in (self.canary, self.stable))
        theirs = self.calls - ours
        return Block(ours, random.binomial(ours, bad), theirs, random.binomial(theirs, stable_bad))


def log_e(counts: Block, loss: float | None = None) -> Floats:
    """The evidence after each minute: against "not worse", or against "worse by that loss or more"."""
    paths = np.zeros(counts.canary.shape)
    for start in range(0, len(paths), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        paths[some] = _log_e(Block(*(part[some] for part in counts)), loss)
    return paths


def _log_e(counts: Block, loss: float | None) -> Floats:
    """As shared.release.evidence.compare of shared.release.counted.blocks, for many at once: a test compares them."""
    stable, canary, first = evidence.pairs()
    bets = np.tile(first, (len(counts.canary), 1))
    total = np.zeros(len(counts.canary))
    paths = np.zeros(counts.canary.shape)
    waiting = np.zeros((4, len(counts.canary)), dtype=np.int64)
    for minute in range(paths.shape[1]):
        waiting += np.array([part[:, minute] for part in counts])
        both = (waiting[0] > 0) & (waiting[2] > 0)
        block = Block(*(np.where(both, part, 0)[:, None] for part in waiting))
        likelihood = evidence.log_likelihood(block, canary, stable)
        total += evidence.log_mean_of(bets, _of_pairs(block, canary, stable, likelihood, loss))
        bets = evidence.learned(bets, likelihood, first, block)  # of an empty block: as they were
        waiting[:, both] = 0
        paths[:, minute] = total
    return paths


def _of_pairs(block: Block, canary: Floats, stable: Floats, likelihood: Floats, loss: float | None) -> Floats:
    if loss is None:
        return evidence.log_e_worse_of(block, canary, stable, likelihood)
    return evidence.log_e_loss_of(block, canary, stable, likelihood, np.array([[loss]]))


def calls_until(reached: np.ndarray, canary: np.ndarray) -> Floats:
    """Calls of each canary up to the first minute in which something holds; infinite where it never does."""
    sums = canary.cumsum(axis=1)
    first = reached.argmax(axis=1)
    return np.where(reached.any(axis=1), sums[np.arange(len(sums)), first], np.inf)
