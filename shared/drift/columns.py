"""What of a version's calls can be compared with what its package was made of: columns of inputs, and outputs.

A package is anybody's: of what its `reference` says, what cannot be used is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.counts import bins, labels
from shared.counts.counts import OTHER, SCORES, Counts
from shared.drift.histograms import Column
from shared.package.manifest import Manifest

TOP_SCORE, BEST_LABEL = "top score", "best label"
MOST = 10**12  # items in a bin that a package may claim


def inputs(manifest: Manifest, counts: Counts) -> list[Column]:
    described = (manifest.reference or {}).get("features")
    described = described if isinstance(described, dict) else {}
    columns = [_feature(name, one, counts.features.get(name, {})) for name, one in described.items()]
    # what was never counted: of an older release, or of calls that had no such items
    return [column for column in columns if column is not None and column.n]


def outputs(manifest: Manifest, counts: Counts, baseline: Counts | None = None) -> list[Column]:
    """baseline: counts of the version's own first calls, where its package has no reference."""
    described = (manifest.reference or {}).get("scores")
    described = described if isinstance(described, dict) else {}
    if baseline is not None and not described:
        columns = [_scores(_scores_of(baseline), counts), _labels(manifest, baseline.labels, counts)]
    else:
        columns = [_scores(_top(described.get("top")), counts), _labels(manifest, described.get("labels"), counts)]
    return [column for column in columns if column is not None and column.n and column.m]


def _feature(name: str, described: Any, counted: Mapping[int, int]) -> Column | None:
    reference = numbers(described.get("counts")) if isinstance(described, dict) else None
    if reference is None:
        return None
    edges, names = described.get("edges"), described.get("names")
    (other,) = numbers([described.get("other", 0)]) or [0]
    absent = numbers([described.get("absent")])
    gaps = None if absent is None else (absent[0], counted.get(-1, 0))
    if _is_names(names) and len(names) == len(reference):
        return Column(
            name=name,
            reference=[*reference, other],
            counts=[counted.get(number, 0) for number in range(len(names) + 1)],
            names=[*names, OTHER],
            absent=gaps,
        )
    if not (bins.is_scale(edges) and len(edges) == len(reference) + 1):
        return None
    counts = [counted.get(number, 0) for number in range(len(edges) + 1)]
    return Column(name=name, reference=[0, *reference, 0], counts=counts, edges=edges, absent=gaps)


def _top(described: Any) -> list[int] | None:
    """The reference's top scores, if their bins are those of counts."""
    if not isinstance(described, dict):
        return None
    reference, edges = numbers(described.get("counts")), described.get("edges", [])
    if reference is None or len(reference) != SCORES or not bins.is_scale(edges) or len(edges) != SCORES + 1:
        return None
    fits = all(abs(edge - number / SCORES) < 1e-6 for number, edge in enumerate(edges))
    return reference if fits else None


def _scores_of(counts: Counts) -> list[int]:
    return [counts.scores.get(number, 0) for number in range(SCORES)]


def _scores(reference: list[int] | None, counts: Counts) -> Column | None:
    if reference is None:
        return None
    edges = [number / SCORES for number in range(1, SCORES)]
    return Column(name=TOP_SCORE, reference=reference, counts=_scores_of(counts), edges=edges)


def _labels(manifest: Manifest, reference: Any, counts: Counts) -> Column | None:
    if not isinstance(reference, dict) or numbers(list(reference.values())) is None:
        return None
    named = labels.named(manifest)
    others = sum(reference.values()) - sum(reference.get(label, 0) for label in named)
    counted = [counts.labels.get(label, 0) for label in named]
    return Column(
        name=BEST_LABEL,
        reference=[*(reference.get(label, 0) for label in named), others],
        counts=[*counted, sum(counts.labels.values()) - sum(counted)],
        names=[*named, OTHER],
    )


def numbers(values: Any) -> list[int] | None:
    """Items in bins, as a package has them; None for anything else."""
    if not isinstance(values, list) or not all(type(value) is int and 0 <= value < MOST for value in values):
        return None
    return values


def _is_names(names: Any) -> bool:
    return isinstance(names, list) and bool(names) and all(isinstance(name, str) for name in names)
