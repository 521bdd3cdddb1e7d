"""Streams of items as counts by the hour, and the looks that the watch function takes at them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from shared.counts import bins
from shared.counts.counts import SCORES, Counts
from shared.counts.times import HOUR
from shared.drift import look, verdict
from shared.drift.verdict import Verdict
from shared.package.manifest import Manifest

Draw = Callable[[int, np.random.Generator], Counts]  # counts of so many items


@dataclass
class Pool:
    """Items that traffic is drawn from, with replacement. features: values by name; what has no order, as numbers of
    names. scores, labels: of the model's answers, labels as numbers of `names`.
    """

    features: Mapping[str, np.ndarray]
    scores: np.ndarray | None = None
    labels: np.ndarray | None = None
    names: list[str] = field(default_factory=list)
    numbers: dict[str, np.ndarray] = field(default_factory=dict)

    def fit(self, reference: Mapping[str, Any]) -> Pool:
        """Find each item's bins, once."""
        for name, values in self.features.items():
            edges = reference["features"][name].get("edges")
            placed = [bins.place(value, edges) for value in values.tolist()] if edges else values
            self.numbers[name] = np.asarray(placed, int)
        return self

    def counts(self, n: int, random: np.random.Generator) -> Counts:
        size = len(next(iter(self.numbers.values())))
        return self.counted(random.integers(0, size, n))

    def counted(self, chosen: np.ndarray) -> Counts:
        """Of items by their numbers."""
        counts = Counts(requests=len(chosen), items=len(chosen))
        counts.features = {name: _histogram(numbers[chosen]) for name, numbers in self.numbers.items()}
        if self.scores is not None:
            counts.scores = _histogram(np.minimum((self.scores[chosen] * SCORES).astype(int), SCORES - 1))
        if self.labels is not None:
            counts.labels = {self.names[number]: of for number, of in _histogram(self.labels[chosen]).items()}
        return counts


def _histogram(numbers: np.ndarray) -> dict[int, int]:
    values, counts = np.unique(numbers, return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def described(values: np.ndarray) -> dict[str, Any]:
    """As training/report/card.py has it."""
    known = values[np.isfinite(values)]
    span = (0.0, 1.0) if known.min() >= 0 and known.max() <= 1 else None
    counts, edges = np.histogram(known, bins=20, range=span)
    return {
        "edges": [float(f"{edge:.6g}") for edge in edges],
        "counts": counts.tolist(),
        "absent": int(np.isnan(values).sum()),
    }


def looks(manifest: Manifest, hours: Mapping[int, Counts], hour: int) -> dict[str, Verdict]:
    """What is seen at the end of an hour; hours: counts of each, by its number since a midnight."""
    verdicts = {}
    for window, (first, last) in look.windows(hour * HOUR + 15).items():
        total = Counts()
        for number in range(first // HOUR, last // HOUR):
            if number in hours:
                total.add(hours[number])
        verdicts[window] = verdict.judge(manifest, total)
    return verdicts


def delay(
    manifest: Manifest, quiet: Draw, changed: Draw, rate: int, most: int, random: np.random.Generator
) -> int | None:
    """Hours until a look sees drift, of traffic that changes after two quiet days; None where none does in `most`."""
    hours = {hour: quiet(rate, random) for hour in range(48)}
    for hour in range(48, 48 + most):
        hours[hour] = changed(rate, random)
        if any(one.state == "drift" for one in looks(manifest, hours, hour + 1).values()):
            return hour - 47
    return None
