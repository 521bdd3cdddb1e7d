"""Rules that are usual elsewhere, each on the calls of many canaries: (canaries, calls of the canary)."""

from __future__ import annotations

import numpy as np

Z_AT_1_PERCENT = 2.3263


def z_test(bad: np.ndarray, stable_bad: np.ndarray, every: int = 50, weight: float = 0.1) -> np.ndarray:
    """The calls of each canary until a z-test of two proportions at 1 %, one-sided, first says worse.

    Looked at every `every` calls of the canary. stable_bad: bad calls of the stable version, per call of the canary.
    """
    looks = np.arange(every, bad.shape[1] + 1, every)
    n, m = looks, looks * (1 - weight) / weight
    ours, theirs = bad.cumsum(axis=1)[:, looks - 1] / n, stable_bad.cumsum(axis=1)[:, looks - 1] / m
    common = (ours * n + theirs * m) / (n + m)
    spread = np.sqrt(common * (1 - common) * (1 / n + 1 / m))
    with np.errstate(divide="ignore", invalid="ignore"):
        worse = np.nan_to_num((ours - theirs) / spread) > Z_AT_1_PERCENT
    return first(worse, looks)


def window(bad: np.ndarray, length: int, share: float = 0.05) -> np.ndarray:
    """The calls of each canary until more than `share` of its last `length` calls were bad."""
    sums = np.concatenate([np.zeros((len(bad), 1), dtype=np.int32), bad.cumsum(axis=1)], axis=1)
    worse = sums[:, length:] - sums[:, :-length] > share * length
    return first(worse, np.arange(length, bad.shape[1] + 1))


def first(worse: np.ndarray, calls: np.ndarray) -> np.ndarray:
    """The number of calls at the first look that says worse; infinite where none does."""
    return np.where(worse.any(axis=1), calls[worse.argmax(axis=1)], np.inf)
