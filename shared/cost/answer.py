"""The answers to `GET /models/{model}/cost` and `GET /costs`: counts and blobs of a span, read and priced."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from shared import deadline
from shared.clock import minute_of
from shared.cost import blobs, cost, views
from shared.cost.cost import Amounts, Rates
from shared.cost.prices import Instance
from shared.counts import read
from shared.counts import views as counted
from shared.counts.counts import Counts, by_version
from shared.counts.times import to_text
from shared.registry import catalog, models
from shared.registry.log import Log
from shared.registry.state import Head

AT_ONCE = 8  # models that are read


class Span(NamedTuple):
    """first, last: minutes, the last one excluded. now: the present one. minutes: of the counts' steps."""

    first: int
    last: int
    now: int
    minutes: int


class Priced(NamedTuple):
    """A model's calls by version, and what these cost with the versions' blobs.

    stored: bytes of each version, and of none where there are too many blobs. left_out, dropped: see counts/read.py.
    """

    model: str
    counts: dict[int, Counts]
    amounts: dict[int, Amounts]
    stored: dict[int, int] | None
    left_out: int
    dropped: int

    def stored_by(self, version: int) -> int | None:
        return None if self.stored is None else self.stored[version]

    def sum(self) -> tuple[Counts, Amounts, int | None]:
        """With the storage of versions that nobody called."""
        counts, amounts = Counts(), Amounts()
        for one in self.counts.values():
            counts.add(one)
        for amount in self.amounts.values():
            amounts.add(amount)
        return counts, amounts, None if self.stored is None else sum(self.stored.values())


def of_model(
    log: Log, model: str, rates: Rates, instance: Instance, utilization: float, *, since: str, until: str | None
) -> views.ModelCost:
    """instance: to compare with, busy for `utilization` of its time. Raises NotFound, BadInput, Unavailable."""
    span = _span(since, until)
    priced = _price(log, models.get(log, model), rates, span, blobs.sizes(log.store))
    counts, amounts, stored = priced.sum()
    return views.ModelCost(
        model=model,
        versions=[
            views.version(number, one, priced.amounts[number], priced.stored_by(number))
            for number, one in sorted(priced.counts.items())
        ],
        sum=views.model(model, counts, amounts, stored),
        break_even=views.break_even(counts, rates, instance, utilization),
        **_basis(span, rates, [priced]),
    )


def of_models(
    log: Log,
    rates: Rates,
    permitted: Callable[[str], bool],
    *,
    since: str,
    until: str | None,
    limit: int,
    next: str | None,
) -> views.CostList:
    """Those that the caller may read, by name, a page at a time. Raises BadInput, Unavailable."""
    span = _span(since, until)
    page, next_page = catalog.page(log, after=next, limit=limit, permitted=permitted)
    sizes = blobs.sizes(log.store)

    def price(name: str) -> Priced:
        return _price(log, models.get(log, name), rates, span, sizes)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        priced = list(pool.map(deadline.carry(price), [one.name for one in page]))
    return views.CostList(
        models=[views.model(one.model, *one.sum()) for one in priced], next=next_page, **_basis(span, rates, priced)
    )


def _span(since: str, until: str | None) -> Span:
    """By whole hours or days, as their counts are kept for 400 days. Raises BadInput."""
    now = time.time()
    first, last, step = counted.span(since, until, None, now)
    if step == "minute":
        first, last, step = counted.span(since, until, "hour", now)
    return Span(first, last, int(now // 60), counted.STEPS[step])


def _price(log: Log, head: Head, rates: Rates, span: Span, sizes: Mapping[str, int] | None) -> Priced:
    wanted = read.Wanted(model=head.model, first=span.first, last=span.last, step=span.minutes)
    selection = read.read(log.store, wanted)
    counts = by_version(selection.table)
    amounts = {number: cost.of_calls(one, rates) for number, one in counts.items()}
    stored = None if sizes is None else dict.fromkeys(counts, 0) | blobs.of_versions(log, head, sizes)
    for number, size in (stored or {}).items():
        minutes = _minutes_there(log, head, number, span)
        amounts.setdefault(number, Amounts()).storage = cost.of_storage(size, minutes, rates.prices)
    return Priced(head.model, counts, amounts, stored, selection.left_out, selection.dropped)


def _minutes_there(log: Log, head: Head, number: int, span: Span) -> int:
    """For how much of the span a version has been there; 0 for one of before the model's name was deleted."""
    if not head.has_version(number):
        return 0
    created_at = log.version(head, number).created_at
    began = max(span.first, minute_of(created_at) if created_at else span.first)
    return max(min(span.last, span.now) - began, 0)


def _basis(span: Span, rates: Rates, priced: Sequence[Priced]) -> dict[str, Any]:
    """left_out and dropped are of all models in the hours that were read: the most that one reading has seen."""
    return {
        "since": to_text(span.first),
        "until": to_text(span.last),
        "memory_mb": rates.memory_mb,
        "prices": views.used(rates.prices),
        "not_included": views.NOT_INCLUDED,
        "assumed": views.ASSUMED,
        "left_out": max((one.left_out for one in priced), default=0),
        "dropped": max((one.dropped for one in priced), default=0),
    }
