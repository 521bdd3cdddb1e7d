"""Days on which nothing changes: how often drift is seen all the same, and by the usual rule."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.drift import streams
from shared.counts.counts import SCORES, Counts
from shared.drift import verdict
from shared.package.manifest import Manifest

DAYS = 20  # of each version; the next one has a reference of its own
LABELS = [f"label {number}" for number in range(10)]
RULE = 0.1  # of the usual rule: PSI in ten bins, each hour


def _shares(random: np.random.Generator) -> list[np.ndarray]:
    """Distributions of three features, the scores and the labels."""
    return [*random.dirichlet([2.0] * 20, 3), np.sort(random.dirichlet([0.5] * SCORES)), random.dirichlet([5.0] * 10)]


def _manifest(shares: list[np.ndarray], m: int, random: np.random.Generator) -> Manifest:
    edges = [number / 20 for number in range(21)]
    *features, scores, labels = (random.multinomial(m, share).tolist() for share in shares)
    return Manifest(
        labels=LABELS,
        reference={
            "features": {f"f{k}": {"edges": edges, "counts": counts} for k, counts in enumerate(features)},
            "scores": {"top": {"edges": edges, "counts": scores}, "labels": dict(zip(LABELS, labels, strict=True))},
        },
    )


def _hour(shares: list[np.ndarray], n: int, random: np.random.Generator) -> Counts:
    *features, scores, labels = (random.multinomial(n, share).tolist() for share in shares)
    return Counts(
        requests=n,
        features={f"f{k}": dict(enumerate(counts, 1)) for k, counts in enumerate(features)},
        scores=dict(enumerate(scores)),
        labels=dict(zip(LABELS, labels, strict=True)),
    )


def days(number: int, m: int, rate: int, random: np.random.Generator) -> dict[str, Any]:
    """Of so many quiet days: those with an alarm, with a significant column of whatever size, and by the usual rule."""
    alarmed, significant, usual, waited, looked = 0, 0, 0, 0, 0
    for start in range(0, number, DAYS):
        shares = _shares(random)
        manifest = _manifest(shares, m, random)
        hours = {hour: _hour(shares, rate, random) for hour in range(24)}
        for day in range(1, 1 + min(DAYS, number - start)):
            alarms, certain, by_rule = False, False, False
            for hour in range(24 * day, 24 * day + 24):
                hours[hour] = _hour(shares, rate, random)
                for window, one in streams.looks(manifest, hours, hour + 1).items():
                    looked += 1
                    waited += one.state == "waiting"
                    alarms |= one.state == "drift"
                    certain |= any((of.probability or 1) <= verdict.ALPHA for of in one.compared)
                    if window == "hour":
                        by_rule |= any(of.comparison and of.comparison.psi > RULE for of in one.compared)
            alarmed, significant, usual = alarmed + alarms, significant + certain, usual + by_rule
    return {"days": number, "alarmed": alarmed, "significant": significant, "usual": usual, "waited": waited / looked}
