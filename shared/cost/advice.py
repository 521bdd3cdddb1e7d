"""Which memory size suits a model, from what a sweep measured at each of some. Pure: no cloud, no clock."""

# no `from __future__ import annotations`: msgspec resolves the texts at import

import math
import statistics
from collections.abc import Sequence

from msgspec import Struct

from shared.cost.cost import Rates
from shared.cost.prices import Prices

NEAR = 1.1  # times the cheapest, that a faster size may cost
FULL = 0.9  # of a function's memory; who takes more has none left for the next larger input


class Measured(Struct, kw_only=True):
    """Calls at one memory size. milliseconds: of each warm call, as the function's report has them; billed_ms: rounded
    up. start_ms: of the first call, with the process's start. used_mb: the most memory that it has had. failure: why it
    was given up, if it was.
    """

    memory_mb: int
    milliseconds: list[float]
    billed_ms: list[int]
    start_ms: float | None = None
    used_mb: int | None = None
    failure: str | None = None


class Size(Struct, kw_only=True):
    """What calls at one memory size come to. median_ms, p95_ms: of warm calls (nearest rank). per_1000: of warm calls,
    in the prices' currency, without the gateway, which is the same for all. fits: no call failed, and memory is left.
    """

    memory_mb: int
    calls: int
    fits: bool
    median_ms: float | None = None
    p95_ms: float | None = None
    per_1000: float | None = None
    start_ms: float | None = None
    used_mb: int | None = None
    failure: str | None = None


class Advice(Struct, kw_only=True):
    """Memory sizes in MB, of those that fit; None where nothing can be said. cheapest: for a call. fastest: by the
    median, of those within 10 % of the cheapest. smallest: that fits.
    """

    cheapest: int | None
    fastest: int | None
    smallest: int | None


def size(measured: Measured, prices: Prices) -> Size:
    ordered = sorted(measured.milliseconds)
    if not ordered or measured.failure is not None:
        failure = measured.failure or "no call was measured"
        return Size(
            memory_mb=measured.memory_mb, calls=len(ordered), fits=False, failure=failure, used_mb=measured.used_mb
        )
    call = statistics.fmean(measured.billed_ms) * Rates(prices, measured.memory_mb).millisecond
    return Size(
        memory_mb=measured.memory_mb,
        calls=len(ordered),
        fits=measured.used_mb is None or measured.used_mb <= FULL * measured.memory_mb,
        median_ms=statistics.median(ordered),
        p95_ms=ordered[math.ceil(0.95 * len(ordered)) - 1],
        per_1000=1000 * (call + prices.million_calls / 1e6),
        start_ms=measured.start_ms,
        used_mb=measured.used_mb,
    )


def advise(sizes: Sequence[Size], *, cpu_follows_memory: bool) -> Advice:
    """cpu_follows_memory: on AWS it does. Where it does not, times are no reason for a size, and only memory is."""
    fitting = [one for one in sizes if one.fits and one.per_1000 is not None and one.median_ms is not None]
    smallest = min((one.memory_mb for one in fitting), default=None)
    if not fitting or not cpu_follows_memory:
        return Advice(cheapest=None, fastest=None, smallest=smallest)
    cheapest = min(fitting, key=lambda one: (one.per_1000, one.memory_mb))
    near = [one for one in fitting if (one.per_1000 or 0.0) <= NEAR * (cheapest.per_1000 or 0.0)]
    fastest = min(near, key=lambda one: (one.median_ms, one.memory_mb))
    return Advice(cheapest=cheapest.memory_mb, fastest=fastest.memory_mb, smallest=smallest)
