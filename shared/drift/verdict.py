"""Whether a version's calls are other ones than its package was made of: columns compared, and put together.

No alarm without both: a difference that chance does not make, and one that is large enough to matter.

How often it may be wrong is shared out beforehand. The watcher looks 49 times a day: each hour at the last hour and at
the last day, and once a day at the last week. Each look, whoever takes it, is wrong with a probability of ALPHA at
most, over all of its columns, so those of a day together with one of 1 in 1,000: however much their windows overlap, by
the union bound. The price is a threshold of PSI about 1.4 times that of a single look at 1 in 1,000.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from shared.counts.counts import Counts
from shared.drift import columns, significance
from shared.drift.histograms import LEAST_ITEMS, LEAST_REFERENCE, Column, Comparison, compare
from shared.package.manifest import Manifest

LOOKS = 24 + 24 + 1  # a day
FALSE_ALARMS = 0.001  # a day, of a version
ALPHA = FALSE_ALARMS / LOOKS
# effects that are usually named so (Siddiqi 2006); of large samples, which is what the effect is corrected to
MODERATE, MAJOR = 0.1, 0.25

Severity = Literal["none", "moderate", "major"]
State = Literal["drift", "quiet", "waiting"]
REFERENCE, FIRST_CALLS = "reference", "first calls"


class Compared(Struct, frozen=True, kw_only=True):
    """A column and what came of it. probability: by chance, corrected for the number of columns. comparison: None where
    there are too few items.
    """

    column: Column
    of: Literal["inputs", "outputs"]
    comparison: Comparison | None = None
    probability: float | None = None
    severity: Severity = "none"


class Verdict(Struct, frozen=True, kw_only=True):
    """baseline: what the calls are compared with. reason: a sentence."""

    state: State
    severity: Severity
    reason: str
    baseline: str | None
    compared: list[Compared]


def judge(manifest: Manifest, counts: Counts, first_calls: Counts | None = None) -> Verdict:
    """first_calls: what the version's outputs are compared with, where its package has no reference."""
    ours: list[tuple[Column, Literal["inputs", "outputs"]]] = [
        *((column, "inputs") for column in columns.inputs(manifest, counts)),
        *((column, "outputs") for column in columns.outputs(manifest, counts, first_calls)),
    ]
    compared = _compared(ours)
    severities: list[Severity] = ["none", "moderate", "major"]
    worst = max((one.severity for one in compared), key=severities.index, default=severities[0])
    baseline = REFERENCE if manifest.reference else FIRST_CALLS if first_calls is not None else None
    if worst != "none":
        return Verdict(state="drift", severity=worst, reason=_reason(compared), baseline=baseline, compared=compared)
    known = [one for one in compared if one.comparison is not None]
    if known:
        reason = f"none of {len(known)} columns differs from the {baseline} by more than chance, and enough to matter"
        return Verdict(state="quiet", severity="none", reason=reason, baseline=baseline, compared=compared)
    return Verdict(
        state="waiting",
        severity="none",
        reason=_missing(manifest, ours, baseline),
        baseline=baseline,
        compared=compared,
    )


def _compared(ours: list[tuple[Column, Literal["inputs", "outputs"]]]) -> list[Compared]:
    comparisons = [compare(column, ALPHA) for column, _ in ours]
    probabilities = iter(significance.adjusted([one.probability for one in comparisons if one is not None]))
    compared = []
    for (column, of), comparison in zip(ours, comparisons, strict=True):
        if comparison is None:
            compared.append(Compared(column=column, of=of))
            continue
        probability = next(probabilities)
        severity = _severity(comparison.effect) if probability <= ALPHA else "none"
        compared.append(
            Compared(column=column, of=of, comparison=comparison, probability=probability, severity=severity)
        )
    return compared


def _severity(effect: float) -> Severity:
    return "major" if effect >= MAJOR else "moderate" if effect >= MODERATE else "none"


def _reason(compared: list[Compared]) -> str:
    drifted = [(one, one.comparison) for one in compared if one.comparison is not None and one.severity != "none"]
    drifted.sort(key=lambda pair: -pair[1].effect)
    told = [f"{one.column.name} (PSI {of.psi:.2f}, by chance below {of.threshold:.2f})" for one, of in drifted[:3]]
    more = f" and {len(drifted) - 3} more" if len(drifted) > 3 else ""
    return f"these are distributed in another way: {', '.join(told)}{more}"


def _missing(manifest: Manifest, ours: list[tuple[Column, Literal["inputs", "outputs"]]], baseline: str | None) -> str:
    most = max((column.n for column, _ in ours), default=0)
    if baseline is None:
        return "the package has no `reference` to compare calls with: packages that `amaas train` makes have one"
    if not ours:
        return "no items of calls were counted in this span that the package's reference describes"
    if most < LEAST_ITEMS:
        return f"{most} items were counted in this span: {LEAST_ITEMS} are needed; ask for a longer one, or wait"
    size = max(column.m for column, _ in ours)
    return f"the {baseline} has {size} items: {LEAST_REFERENCE} are needed, in two parts at least"
