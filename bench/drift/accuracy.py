"""Estimates of accuracy beside what it is: half of Fashion-MNIST's test split makes the table, half the calls."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.drift import data
from bench.drift.streams import Pool
from shared.accuracy import answer, estimate
from shared.counts.counts import SCORES, Counts
from shared.package.manifest import Manifest

ITEMS = 2000
RUNS = 200


def measure(random: np.random.Generator, quick: bool) -> list[dict[str, Any]]:
    """By change: what the accuracy is, its mean estimate, and in how many runs the interval has it."""
    manifest, pools, truths = data.labeled_images(random)
    half = random.permutation(len(truths["nothing"])) < len(truths["nothing"]) // 2
    manifest = _with_table(manifest, pools["nothing"], truths["nothing"], half)
    rows = []
    for name, pool in pools.items():
        # of the items that made no table, where a change left all items in their places
        own = np.flatnonzero(~half) if len(truths[name]) == len(half) else np.arange(len(truths[name]))
        rows.append({"change": name} | _compared(manifest, pool, truths[name], own, random, 5 if quick else RUNS))
    return rows


def _with_table(manifest: Manifest, pool: Pool, truth: np.ndarray, half: np.ndarray) -> Manifest:
    assert pool.scores is not None and pool.labels is not None
    bins = np.minimum((pool.scores * SCORES).astype(int), SCORES - 1)
    right = pool.labels == truth
    table = {
        "counts": np.bincount(bins[half], minlength=SCORES).tolist(),
        "right": np.bincount(bins[half & right], minlength=SCORES).tolist(),
    }
    reference = dict(manifest.reference or {})
    reference["scores"] = reference["scores"] | {"calibration": table}
    return data.with_reference(manifest, reference)


def _compared(
    manifest: Manifest, pool: Pool, truth: np.ndarray, own: np.ndarray, random: np.random.Generator, runs: int
) -> dict[str, Any]:
    assert pool.scores is not None and pool.labels is not None
    table = estimate.calibration(manifest)
    assert table is not None
    estimates, inside, doubtful, confident = [], 0, 0, []
    for _ in range(runs):
        chosen = own[random.integers(0, len(own), ITEMS)]
        counts: Counts = pool.counted(chosen)
        of = answer.of_version(1, manifest, counts)
        assert of.estimate is not None and of.low is not None and of.high is not None
        actual = float((pool.labels[chosen] == truth[chosen]).mean())
        inside += of.low <= actual <= of.high
        doubtful += of.state == "doubtful"
        estimates.append(of.estimate)
        confident.append(float(pool.scores[chosen].mean()))
    return {
        "accuracy": float((pool.labels[own] == truth[own]).mean()),
        "estimate": float(np.mean(estimates)),
        "mean_score": float(np.mean(confident)),
        "inside": inside / runs,
        "doubtful": doubtful / runs,
    }
