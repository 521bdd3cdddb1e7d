"""A version's drift as `GET /models/{model}/drift` answers it, with bins that tell of nobody in particular."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from shared.counts.disclosure import suppressed
from shared.drift.histograms import Part
from shared.drift.verdict import Compared, Severity, State, Verdict


class DriftBin(Struct, kw_only=True):
    """Shares of the items, of the reference (which the manifest has) and the calls; null where a bin has too few calls'
    items, which could tell of single ones.
    """

    bin: str
    reference: float
    share: float | None


class ColumnDrift(Struct, kw_only=True):
    """One column of the inputs or outputs. items: of the calls. psi: beside what it stays below by chance (threshold).

    effect: psi less what chance makes of it on average; severity goes by it: 0.1 is moderate, 0.25 major, none where
    the difference may be chance. distance: of Kolmogorov and Smirnov, of columns with an order. probability: of such a
    difference by chance, corrected for the number of columns; beside `alpha`. bins: joined until each has enough items.
    """

    name: str
    of: Literal["inputs", "outputs"]
    items: int
    reference_items: int
    severity: Severity
    psi: float | None
    threshold: float | None
    effect: float | None
    distance: float | None
    probability: float | None
    bins: list[DriftBin]


class VersionDrift(Struct, kw_only=True):
    """state: drift, quiet, or waiting for items. baseline: what calls are compared with: the package's reference, or
    the version's own first calls. reason: a sentence.
    """

    version: int
    requests: int
    state: State
    severity: Severity
    reason: str
    baseline: Annotated[str | None, Meta(description="`reference`, `first calls`, or null")]
    columns: list[ColumnDrift]


class ModelDrift(Struct, kw_only=True):
    """alpha: how probable a look is to find drift where there is none. left_out, dropped: as in the counts."""

    model: str
    since: str
    until: str
    alpha: float
    versions: list[VersionDrift]
    left_out: int
    dropped: int


def version(number: int, requests: int, verdict: Verdict) -> VersionDrift:
    return VersionDrift(
        version=number,
        requests=requests,
        state=verdict.state,
        severity=verdict.severity,
        reason=verdict.reason,
        baseline=verdict.baseline,
        columns=[_column(one) for one in verdict.compared],
    )


def _column(one: Compared) -> ColumnDrift:
    of = one.comparison
    return ColumnDrift(
        name=one.column.name,
        of=one.of,
        items=one.column.n,
        reference_items=one.column.m,
        severity=one.severity,
        psi=None if of is None else round(of.psi, 4),
        threshold=None if of is None else round(of.threshold, 4),
        effect=None if of is None else round(of.effect, 4),
        distance=None if of is None or of.distance is None else round(of.distance, 4),
        probability=None if one.probability is None else float(f"{one.probability:.3g}"),
        bins=[] if of is None else bins(of.parts),
    )


def bins(parts: list[Part]) -> list[DriftBin]:
    """Shares of parts, but for those with too few items (counts/disclosure.py). What neither side has is left out."""
    parts = [part for part in parts if part.count or part.reference]
    counts = [part.count for part in parts]
    items, reference_items = max(sum(counts), 1), max(sum(part.reference for part in parts), 1)
    hidden = suppressed(counts)
    return [
        DriftBin(
            bin=part.name,
            reference=round(part.reference / reference_items, 4),
            share=None if number in hidden else round(part.count / items, 4),
        )
        for number, part in enumerate(parts)
    ]
