"""What the judge is given: counts of both versions, by minute; and the blocks that the evidence takes of them.

A minute that is over, and has been for SETTLED more, is taken as final. Counts that come later are added to their
minute all the same, at the next look: every look begins with the first minute of the stage, so that nothing is stored
between looks, and two watchers that see the same counts decide the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from shared.counts.counts import Counts, Row
from shared.feedback.labels import Judged
from shared.registry.releases import OUT_OF_RANGE, SERVER_ERRORS, SHADOW_DIFFERS, SLOW, WRONG_LABEL
from shared.registry.verdicts import Roles
from shared.release.evidence import Block

SETTLED = 1  # minutes: within one, a process that is called writes what it has counted
SLOWEST = 0.05  # of the stable version's calls are slow: beyond its 95th percentile
LEAST_TIMES = 100  # of the stable version, before a percentile of them is anything


class Group(NamedTuple):
    """One version's part of a minute. events: (n, bad) by metric. times: calls by bin of their duration, rising.
    items: that were answered with a class.

    Not of loading: a canary loads more often, having fewer calls.
    """

    calls: int = 0
    events: Mapping[str, tuple[int, int]] = {}
    times: Mapping[int, int] = {}
    items: int = 0


class Minute(NamedTuple):
    """Counts of both versions. minute: since the epoch."""

    minute: int
    canary: Group
    stable: Group


def minutes(rows: Iterable[Row], roles: Roles, since: int) -> list[Minute]:
    """Of an alias' rows, those of its stage, by minute. Of another `since` is another stage, whatever the time."""
    versions_at: dict[int, dict[int, Group]] = {}
    for row in rows:
        if row.since == since:
            versions_at.setdefault(row.at, {})[row.version] = group(row.counts)
    return [
        Minute(at, versions.get(roles.canary, Group()), versions.get(roles.stable, Group()))
        for at, versions in sorted(versions_at.items())
    ]


def group(counts: Counts) -> Group:
    """Durations are those of the model's runs: reading the request, and loading, are not the version's doing."""
    different = counts.shadow.get("different", 0)
    events = {
        SERVER_ERRORS: (counts.requests, counts.server_errors),
        SHADOW_DIFFERS: (counts.shadow.get("compared", 0) + different, different),  # `compared` are those without one
        OUT_OF_RANGE: (counts.placed, counts.out_of_range),
    }
    return Group(counts.requests, events, counts.latency.get("run", {}), sum(counts.scores.values()))


def with_labels(minutes: Iterable[Minute], judged: Iterable[Judged], roles: Roles, since: int) -> list[Minute]:
    """With those answers of the stage whose label was given, in the minutes in which they were answered.

    Of a minute, no more labels are taken than answers were counted in it: whoever invents answers wins nothing.
    """
    labeled: dict[tuple[int, int], list[int]] = {}
    for one in judged:
        if one.answer.since == since:
            sums = labeled.setdefault((one.answer.minute, one.answer.version), [0, 0])
            sums[0] += 1
            sums[1] += not one.is_right
    return [
        one._replace(
            canary=_labeled(one.canary, labeled.get((one.minute, roles.canary))),
            stable=_labeled(one.stable, labeled.get((one.minute, roles.stable))),
        )
        for one in minutes
    ]


def _labeled(group: Group, sums: list[int] | None) -> Group:
    if sums is None or sums[0] > group.items:
        return group
    return group._replace(events={**group.events, WRONG_LABEL: (sums[0], sums[1])})


def settled(minutes: Iterable[Minute], now: int) -> list[Minute]:
    """Those that are final, in their order. now: minutes since the epoch."""
    return sorted((one for one in minutes if one.minute + SETTLED < now), key=lambda one: one.minute)


def blocks(minutes: Iterable[Minute], metric: str) -> list[Block]:
    """Of one metric: one or more whole minutes each, so that both versions are in it.

    Which minutes are put together depends on numbers of calls only, never on how many were bad. What is left at the end
    waits for the minutes to come.
    """
    whole, block = [], Block()
    for part in _slow(minutes) if metric == SLOW else _events(minutes, metric):
        block = Block(*(total + more for total, more in zip(block, part, strict=True)))
        if block.canary and block.stable:
            whole.append(block)
            block = Block()
    return whole


def _events(minutes: Iterable[Minute], metric: str) -> Iterator[Block]:
    for one in minutes:
        yield Block(*one.canary.events.get(metric, (0, 0)), *one.stable.events.get(metric, (0, 0)))


def _slow(minutes: Iterable[Minute]) -> Iterator[Block]:
    """Calls that took longer than the stable version's 95th percentile in the minutes before, which is fixed then."""
    before: Counter[int] = Counter()
    for one in minutes:
        if before.total() >= LEAST_TIMES:
            limit = _percentile(before)
            canary, stable = (_beyond(group.times, limit) for group in (one.canary, one.stable))
            yield Block(*canary, *stable)
        before.update(one.stable.times)


def _percentile(times: Mapping[int, int]) -> int:
    """The bin in which the slowest calls begin."""
    left = SLOWEST * sum(times.values())
    for number in sorted(times, reverse=True):
        left -= times[number]
        if left < 0:
            return number
    return min(times)


def _beyond(times: Mapping[int, int], limit: int) -> tuple[int, int]:
    return sum(times.values()), sum(n for number, n in times.items() if number > limit)
