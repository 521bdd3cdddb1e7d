"""A model's counts as `GET /models/{model}/stats` answers them: quantiles of histograms, and a page of the series."""

# no `from __future__ import annotations`: msgspec resolves the texts at import

import re
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta, Struct

from shared.counts import bins
from shared.counts.bins import Histogram
from shared.counts.counts import PHASES, SCORES, Counts, Key
from shared.counts.disclosure import suppressed
from shared.counts.times import DAY, HOUR, to_text
from shared.errors import BadInput
from shared.paging import NextPage
from shared.spans import moment

if TYPE_CHECKING:
    from shared.counts.read import Selection, Wanted

STEPS = {"minute": 1, "hour": HOUR, "day": DAY}
MOST_MINUTES, MOST_DAYS = 2 * DAY, 400 * DAY  # of a series by the minute; of any other


class Quantiles(Struct, kw_only=True):
    """Milliseconds; null where nothing was measured. p50, p95, p99: with an error of `quantile_error` at most."""

    p50: float | None
    p95: float | None
    p99: float | None
    mean: float | None


class _Keyed(Struct, kw_only=True):
    version: int
    alias: Annotated[str | None, Meta(description="by which the version was called; null for its number")]
    revision: Annotated[int | None, Meta(description="that set the alias to the target of these calls")]
    requests: int
    client_errors: int
    server_errors: int


class CountedStep(_Keyed, kw_only=True):
    """Calls of one step."""

    at: str
    latency: Quantiles


class CountedSum(_Keyed, kw_only=True):
    """Calls of the whole span. errors: by kind. latency: by phase, as in the header Server-Timing, and `total`.

    cold: first calls of a process, cold_ms: the time that these processes took to be ready. loads: calls that loaded
    the model; cache_hits: calls that found it loaded. billed_ms: of the calls, rounded up one by one; the start of
    processes and work after answers come on top. scores: items by their best score, in 20 bins from 0 to 1. labels:
    items by their best label, 64 of the model's and `other`. features: items by bins of the version's reference: 0 is
    below all of them, the highest above, -1 stands for an absent value; bins with few items (10), which could tell of
    single ones, are left out. placed: calls whose items have features;
    out_of_range: those of them with an item below or above. shadow: compared (the same), different,
    failed, dropped.
    """

    errors: dict[str, int]
    routes: dict[str, int]
    latency: dict[str, Quantiles]
    cold: int
    cold_ms: int
    loads: int
    cache_hits: int
    runs: int
    bytes_in: int
    bytes_out: int
    billed_ms: int
    scores: list[int]
    labels: dict[str, int]
    items: int
    features: dict[str, dict[str, int]]
    placed: int
    out_of_range: int
    shadow: dict[str, int]


class ModelCounts(Struct, kw_only=True):
    """left_out: stored objects of this span that cannot be read: what they counted is missing. dropped: calls of any
    model that were not counted, as a process had too much to remember.
    """

    model: str
    since: str
    until: str
    step: str
    quantile_error: float
    sums: list[CountedSum]
    series: list[CountedStep]
    left_out: int
    dropped: int
    next: NextPage = None


def span(since: str, until: str | None, step: str | None, now: float) -> tuple[int, int, str]:
    """First and last minute, and the step: the finest that suits the span. Raises BadInput.

    since, until: a time (2026-01-31T17:00:00Z, or a date), or so long before the end (90m, 24h, 30d). The span begins
    and ends at whole steps. now: seconds since the epoch.
    """
    last = int(now // 60) + 1 if until is None else _minute(until, int(now // 60) + 1, "until")
    first = _minute(since, last, "since")
    if first < 0 or last <= 0:
        raise BadInput("the query's span begins before 1970")
    if first >= last:
        raise BadInput("the query's since is not before its until")
    if step is None:
        step = "minute" if last - first <= 6 * HOUR else "hour" if last - first <= 14 * DAY else "day"
    most = MOST_MINUTES if step == "minute" else MOST_DAYS
    if last - first > most:
        raise BadInput(
            f"the span is longer than the {most // DAY} days of a series by the {step}: ask for a shorter one"
        )
    minutes = STEPS[step]
    return first - first % minutes, last + -last % minutes, step


def _minute(text: str, end: int, name: str) -> int:
    minute = int(moment(text, end * 60, name) // 60)
    if minute < 0:
        raise BadInput(f"the query's {name} is before 1970")
    return minute


def stats(selection: "Selection", wanted: "Wanted", step: str, limit: int, after: str | None) -> ModelCounts:
    """Raises BadInput for a cursor that is none of ours."""
    sums: dict[Key, Counts] = {}
    for (key, _), counts in selection.table.items():
        sums.setdefault(key, Counts()).add(counts)
    entries = sorted(selection.table, key=lambda entry: (entry[1], entry[0]))
    if after is not None:
        start = _parse(after, wanted.model)
        entries = [entry for entry in entries if (entry[1], entry[0]) > start]
    page, more = entries[:limit], len(entries) > limit
    return ModelCounts(
        model=wanted.model,
        since=to_text(wanted.first),
        until=to_text(wanted.last),
        step=step,
        quantile_error=round(bins.ERROR, 4),
        sums=[_sum(key, sums[key]) for key in sorted(sums)],
        series=[_point(key, at, selection.table[key, at]) for key, at in page],
        left_out=selection.left_out,
        dropped=selection.dropped,
        next=_cursor(page[-1]) if more else None,
    )


def _cursor(entry: tuple[Key, int]) -> str:
    key, at = entry
    return f"{at}.{key.version}.{key.since}.{key.alias}"


def _parse(after: str, model: str) -> tuple[int, Key]:
    match = re.fullmatch(r"(\d{1,12})\.(\d{1,12})\.(\d{1,12})\.([a-z0-9-]{0,32})", after, re.ASCII)
    if match is None:
        raise BadInput("the query's next is no cursor: give `next` of the previous page")
    return int(match[1]), Key(model, int(match[2]), match[4], int(match[3]))


def _point(key: Key, at: int, counts: Counts) -> CountedStep:
    return CountedStep(at=to_text(at), latency=_quantiles(counts, "total"), **_keyed(key, counts))


def _sum(key: Key, counts: Counts) -> CountedSum:
    return CountedSum(
        **_keyed(key, counts),
        errors=counts.errors,
        routes=counts.routes,
        latency={phase: _quantiles(counts, phase) for phase in PHASES},
        cold=counts.cold,
        cold_ms=counts.cold_ms,
        loads=counts.loads,
        cache_hits=sum(counts.latency.get("load", {}).values()) - counts.loads,
        runs=counts.runs,
        bytes_in=counts.bytes_in,
        bytes_out=counts.bytes_out,
        billed_ms=counts.billed_ms,
        scores=[counts.scores.get(number, 0) for number in range(SCORES)] if counts.scores else [],
        labels=counts.labels,
        items=counts.items,
        features={name: _told(values) for name, values in counts.features.items()},
        placed=counts.placed,
        out_of_range=counts.out_of_range,
        shadow=counts.shadow,
    )


def _keyed(key: Key, counts: Counts) -> dict[str, Any]:
    return {
        "version": key.version,
        "alias": key.alias or None,
        "revision": key.since or None,
        "requests": counts.requests,
        "client_errors": counts.client_errors,
        "server_errors": counts.server_errors,
    }


def _told(histogram: Histogram) -> dict[str, int]:
    numbers = sorted(histogram)
    hidden = suppressed([histogram[number] for number in numbers])
    return {str(number): histogram[number] for place, number in enumerate(numbers) if place not in hidden}


def _quantiles(counts: Counts, phase: str) -> Quantiles:
    histogram = counts.latency.get(phase, {})
    measured = sum(histogram.values())
    return Quantiles(
        p50=_rounded(bins.quantile(histogram, 0.5)),
        p95=_rounded(bins.quantile(histogram, 0.95)),
        p99=_rounded(bins.quantile(histogram, 0.99)),
        mean=_rounded(counts.ns.get(phase, 0) / measured / 1e6) if measured else None,
    )


def _rounded(value: float | None) -> float | None:
    """To four digits: there are no more in a bin."""
    return None if value is None else float(f"{value:.4g}")
