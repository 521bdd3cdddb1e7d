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
    watched = Watched(len(counts.canary), loss)
    paths = np.zeros(counts.canary.shape)
    for minute in range(paths.shape[1]):
        watched.add(np.array([part[:, minute] for part in counts]))
        paths[:, minute] = watched.log_e
    return paths


def log_e_late(counts: Block, late: Block, delay: int) -> Floats:
    """The evidence after each minute, where some processes write `delay` minutes late, each look from the first minute.

    counts: of all processes; late: of those, as part of them.
    """
    whole, some = np.array(counts), np.array(counts) - np.array(late)
    paths = np.zeros(counts.canary.shape)
    final = Watched(len(counts.canary), None)  # what no late writer changes any more
    for minute in range(paths.shape[1]):
        if minute >= delay:
            final.add(whole[:, :, minute - delay])
        look = final.copy()
        for recent in range(max(minute - delay + 1, 0), minute + 1):
            look.add(some[:, :, recent])
        paths[:, minute] = look.log_e
    return paths


class Watched:
    """As shared.release.evidence.compare of shared.release.counted.blocks, for many at once: a test compares them."""

    def __init__(self, canaries: int, loss: float | None) -> None:
        self.loss = loss
        self.stable, self.canary, self.first = evidence.pairs()
        self.bets = np.tile(self.first, (canaries, 1))
        self.log_e = np.zeros(canaries)
        self.waiting = np.zeros((4, canaries), dtype=np.int64)

    def copy(self) -> Watched:
        copied = Watched(0, self.loss)
        copied.bets, copied.log_e, copied.waiting = self.bets, self.log_e, self.waiting.copy()
        return copied

    def keep(self, some: np.ndarray) -> None:
        """Go on with some of the canaries."""
        if not some.all():
            self.bets, self.log_e, self.waiting = self.bets[some], self.log_e[some], self.waiting[:, some]

    def add(self, minute: np.ndarray) -> None:
        """minute: counts as in Block, of each canary."""
        self.waiting = self.waiting + minute
        both = (self.waiting[0] > 0) & (self.waiting[2] > 0)
        block = Block(*(np.where(both, part, 0)[:, None] for part in self.waiting))
        likelihood = evidence.log_likelihood(block, self.canary, self.stable)
        log_e_of_pairs = _of_pairs(block, self.canary, self.stable, likelihood, self.loss)
        self.log_e = self.log_e + evidence.log_mean_of(self.bets, log_e_of_pairs)
        self.bets = evidence.learned(self.bets, likelihood, self.first, block)  # of an empty block: as they were
        self.waiting[:, both] = 0


def _of_pairs(block: Block, canary: Floats, stable: Floats, likelihood: Floats, loss: float | None) -> Floats:
    if loss is None:
        return evidence.log_e_worse_of(block, canary, stable, likelihood)
    return evidence.log_e_loss_of(block, canary, stable, likelihood, np.array([[loss]]))


def calls_until_stopped(counts: Block, needed: float, loss: float | None = None) -> Floats:
    """Calls of each canary up to the first minute whose evidence reaches what is needed; infinite if none does.

    Canaries that are stopped are computed no further.
    """
    sums = counts.canary.cumsum(axis=1)
    stops = np.full(len(sums), np.inf)
    for start in range(0, len(sums), AT_ONCE):
        left = np.arange(start, min(start + AT_ONCE, len(sums)))
        watched = Watched(len(left), loss)
        for minute in range(sums.shape[1]):
            watched.add(np.array([part[left, minute] for part in counts]))
            stopped = watched.log_e >= needed
            stops[left[stopped]] = sums[left[stopped], minute]
            left = left[~stopped]
            if not len(left):
                break
            watched.keep(~stopped)
    return stops
