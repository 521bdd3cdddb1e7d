"""Two histograms of one column, the reference's and the traffic's: how far apart, and whether by chance alone.

PSI, the population stability index, is Σ (q - p) ln (q / p) over the bins. Where nothing has changed, it is
(1/n + 1/m) χ² with one degree of freedom less than there are bins, n and m being the numbers of items (Yurdakul 2018).
So its threshold follows from n and m: by one constant, as 0.1, small samples would always drift and large ones never.
"""

# no `from __future__ import annotations`: msgspec resolves the texts at import

import math

from msgspec import Struct, field

from shared.drift import significance

PARTS = 10  # that an ordered column is divided into, about
LEAST_EXPECTED = 5  # items of the smaller sample in each part: χ² is a bad approximation with fewer
LEAST_ITEMS = 100  # of the traffic
LEAST_REFERENCE = 50
SMOOTHING = 0.5  # items that every part has besides: none is empty, and what is found is a little less


class Column(Struct, frozen=True, kw_only=True):
    """What is compared of a version's calls.

    reference, counts: items in each bin. edges: between the bins, which then are of a scale; names: of bins without an
    order. absent: items without a value, of the reference and the traffic; None where the reference does not say.
    """

    name: str
    reference: list[int]
    counts: list[int]
    edges: list[float] | None = None
    names: list[str] = field(default_factory=list)
    absent: tuple[int, int] | None = None

    @property
    def n(self) -> int:
        return sum(self.counts) + (self.absent[1] if self.absent else 0)

    @property
    def m(self) -> int:
        return sum(self.reference) + (self.absent[0] if self.absent else 0)


class Part(Struct, kw_only=True):
    """Some bins of a column together."""

    name: str
    reference: int = 0
    count: int = 0
    bins: list[int] = field(default_factory=list)


class Comparison(Struct, frozen=True, kw_only=True):
    """psi: as it is. threshold: what it is above, by chance alone, with the probability that was asked for. effect: psi
    less what it is on average where nothing has changed. distance: of Kolmogorov and Smirnov, None without an order.
    probability: of such a difference by chance, by the better of both.
    """

    n: int
    m: int
    parts: list[Part]
    psi: float
    threshold: float
    effect: float
    distance: float | None
    probability: float


def parts(column: Column) -> list[Part]:
    """Bins joined until there are enough items in each of them: by the reference and the number of items alone.

    What the traffic's items are like decides nothing here, or the threshold would not hold.
    """
    smaller = min(column.n, column.m)
    least = column.m * LEAST_EXPECTED / max(smaller, 1)
    if column.edges is not None:
        joined = _joined(column, column.edges, max(least, sum(column.reference) / PARTS))
    else:
        joined = _frequent(column, least)
    if column.absent is not None:
        joined.append(Part(name="absent", reference=column.absent[0], count=column.absent[1]))
    return joined


def _joined(column: Column, edges: list[float], least: float) -> list[Part]:
    joined: list[Part] = []
    open_part = Part(name="")
    for number, (reference, count) in enumerate(zip(column.reference, column.counts, strict=True)):
        open_part.reference += reference
        open_part.count += count
        open_part.bins.append(number)
        if open_part.reference >= least:
            joined.append(open_part)
            open_part = Part(name="")
    if open_part.bins:
        if not joined:
            joined.append(open_part)
        else:
            joined[-1].reference += open_part.reference
            joined[-1].count += open_part.count
            joined[-1].bins += open_part.bins
    for part in joined:
        part.name = _span(edges, part.bins)
    return joined


def _span(edges: list[float], bins: list[int]) -> str:
    first, last = bins[0], bins[-1]
    if first == 0:
        return f"below {edges[last]:g}" if last < len(edges) else "all"
    return f"{edges[first - 1]:g} to {edges[last]:g}" if last < len(edges) else f"from {edges[first - 1]:g} on"


def _frequent(column: Column, least: float) -> list[Part]:
    """Those that the reference has often enough, by themselves; the others together."""
    frequent, rest = list[Part](), Part(name="other")
    for number, (reference, count) in enumerate(zip(column.reference, column.counts, strict=True)):
        if reference >= least:
            frequent.append(Part(name=column.names[number], reference=reference, count=count, bins=[number]))
        else:
            rest.reference += reference
            rest.count += count
            rest.bins.append(number)
    return [*frequent, rest] if rest.bins else frequent


def compare(column: Column, alpha: float) -> Comparison | None:
    """None where there are too few items to say anything."""
    n, m = column.n, column.m
    if n < LEAST_ITEMS or m < LEAST_REFERENCE:
        return None
    joined = parts(column)
    if len(joined) < 2:
        return None
    psi, noise = _psi(joined, n, m), 1 / n + 1 / m
    # what nobody has, as absent values often are, adds nothing to χ²
    freedom = sum(1 for part in joined if part.reference or part.count) - 1
    probability = significance.chi2_survival(psi / noise, freedom)
    distance = _distance(column) if column.edges is not None else None
    if distance is not None:
        known_n, known_m = sum(column.counts), sum(column.reference)
        by_distance = significance.kolmogorov_survival(distance, known_n * known_m / max(known_n + known_m, 1))
        probability = min(1.0, 2 * min(probability, by_distance))
    return Comparison(
        n=n,
        m=m,
        parts=joined,
        psi=psi,
        threshold=noise * significance.chi2_quantile(alpha, max(freedom, 1)),
        effect=max(0.0, psi - noise * freedom),
        distance=distance,
        probability=probability,
    )


def _psi(joined: list[Part], n: int, m: int) -> float:
    added = SMOOTHING * len(joined)
    shares = [((part.count + SMOOTHING) / (n + added), (part.reference + SMOOTHING) / (m + added)) for part in joined]
    return math.fsum((q - p) * math.log(q / p) for q, p in shares)


def _distance(column: Column) -> float | None:
    """The largest difference of the two distributions, in the finest bins that there are; None without a value."""
    n, m = sum(column.counts), sum(column.reference)
    if not (n and m):
        return None
    low, high, largest = 0.0, 0.0, 0.0
    for count, reference in zip(column.counts, column.reference, strict=True):
        low, high = low + count / n, high + reference / m
        largest = max(largest, abs(low - high))
    return largest
