"""Accuracy without labels: how often each top score was right on the test split, by how often it comes now.

CBPE (confidence-based performance estimation, NannyML 2021), by bins, with what training measured of each bin in the
place of the scores themselves. It holds as long as a score means what it meant: not once inputs are others, nor once
the labels' meaning has changed, which nobody can see without labels.
"""

# no `from __future__ import annotations`: msgspec resolves the texts at import

import math
from typing import Any

from msgspec import Struct

from shared.counts.bins import Histogram
from shared.counts.counts import SCORES
from shared.drift import columns
from shared.feedback.measured import Z
from shared.package.manifest import Manifest

LEAST = 30  # items of the test split in each part: bins are joined until there are so many


class Calibration(Struct, frozen=True, kw_only=True):
    """Items of the test split by bins of their top score, and how many of them were answered right."""

    counts: list[int]
    right: list[int]

    @property
    def accuracy(self) -> float:
        return sum(self.right) / sum(self.counts)


class Estimate(Struct, frozen=True, kw_only=True):
    """accuracy, with a 95 % interval for that of these very items. trained: on the test split."""

    items: int
    accuracy: float
    low: float
    high: float
    trained: float


def calibration(manifest: Manifest) -> Calibration | None:
    """Of a package; None where it says none, or nothing that can be one: a package is anybody's."""
    scores = (manifest.reference or {}).get("scores")
    described = scores.get("calibration") if isinstance(scores, dict) else None
    if not isinstance(described, dict):
        return None
    counts, right = _numbers(described.get("counts")), _numbers(described.get("right"))
    if counts is None or right is None or sum(counts) < LEAST:
        return None
    if any(good > count for good, count in zip(right, counts, strict=True)):
        return None
    return Calibration(counts=counts, right=right)


def _numbers(values: Any) -> list[int] | None:
    items = columns.numbers(values)
    return items if items is not None and len(items) == SCORES else None


def estimate(table: Calibration, scores: Histogram) -> Estimate | None:
    """Of items by bins of their top score; None without any.

    In each part of the scores the share of right ones has the posterior of Jeffreys' prior, Beta(right + ½, wrong + ½).
    The variance of the accuracy is that of its mean over parts, whose errors do not average out over items, and that of
    items which are right or wrong by themselves.
    """
    items = sum(scores.values())
    if not items:
        return None
    mean, variance = 0.0, 0.0
    for bins in _parts(table.counts):
        n = sum(scores.get(number, 0) for number in bins)
        m, right = sum(table.counts[number] for number in bins), sum(table.right[number] for number in bins)
        share, weight = (right + 0.5) / (m + 1), n / items
        mean += weight * share
        variance += weight**2 * share * (1 - share) / (m + 2) + weight * share * (1 - share) / items
    spread = Z * math.sqrt(variance)
    return Estimate(
        items=items,
        accuracy=mean,
        low=max(0.0, mean - spread),
        high=min(1.0, mean + spread),
        trained=table.accuracy,
    )


def _parts(counts: list[int]) -> list[list[int]]:
    """Neighboring bins, joined until there are enough items of the test split in each."""
    parts: list[list[int]] = []
    part: list[int] = []
    for number in range(len(counts)):
        part.append(number)
        if sum(counts[one] for one in part) >= LEAST:
            parts.append(part)
            part = []
    if part and parts:
        parts[-1] += part
    return parts or [part]
