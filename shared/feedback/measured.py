"""How often answers were right, of those whose label is known: by version and week, and how far to believe that."""

# no `from __future__ import annotations`: msgspec resolves the texts at import

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Annotated

from msgspec import Meta, Struct, field

from shared.counts.times import DAY, to_text
from shared.feedback.labels import Judged

WEEK = 7 * DAY
MONDAY = 4 * DAY  # 1970-01-05
Z = 1.959964  # of a 95 % interval
MOST_PAIRS = 3
FEW = 0.05  # of the answers: with a smaller share of labels, which answers got one decides much

Share = Annotated[float | None, Meta(description="from 0 to 1, or null")]


class Confusion(Struct, frozen=True, kw_only=True):
    """Items that were answered with one class, and had another."""

    predicted: str
    label: str
    items: int


class MeasuredWeek(Struct, kw_only=True):
    """Of a version's answers of one week (UTC, from Monday on), those whose label was given. low, high: the 95 %
    interval (Wilson 1927). answered: items with a class that were counted; share: of them, those with a label; null
    where none were counted. doubt: why the figure may not be that of all answers; null if nothing speaks against it.
    """

    version: int
    week: str
    items: int
    right: int
    accuracy: float
    low: float
    high: float
    answered: int
    share: Share
    doubt: str | None
    confusions: list[Confusion] = field(default_factory=list)


def week_of(minute: int) -> int:
    """The first minute of the week that a minute is in."""
    return minute - (minute - MONDAY) % WEEK


def by_week(
    judged: Iterable[Judged], answered: Mapping[tuple[int, int], int], labels: Mapping[int, list[str]]
) -> list[MeasuredWeek]:
    """answered: items that were answered with a class, by version and first minute of the week. labels: by version."""
    items: dict[tuple[int, int], list[Judged]] = {}
    for one in judged:
        items.setdefault((one.answer.version, week_of(one.answer.minute)), []).append(one)
    return [
        _week(version, week, items[version, week], answered.get((version, week), 0), labels.get(version, []))
        for version, week in sorted(items, key=lambda place: (-place[1], place[0]))
    ]


def _week(version: int, week: int, items: list[Judged], answered: int, labels: list[str]) -> MeasuredWeek:
    n, right = len(items), sum(one.is_right for one in items)
    low, high = wilson(right, n)
    pairs = Counter((one.predicted, one.label) for one in items if not one.is_right)
    share = min(n / answered, 1.0) if answered else None
    return MeasuredWeek(
        version=version,
        week=to_text(week)[:10],
        items=n,
        right=right,
        accuracy=round(right / n, 4),
        low=round(low, 4),
        high=round(high, 4),
        answered=answered,
        share=None if share is None else round(share, 4),
        doubt=_doubt(n, answered),
        confusions=[
            Confusion(predicted=_name(labels, predicted), label=_name(labels, label), items=count)
            for (predicted, label), count in sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_PAIRS]
        ],
    )


def _doubt(labeled: int, answered: int) -> str | None:
    if labeled > answered:
        return f"there are more labels than the {answered:,} answers that were counted: some may be of no answer"
    if labeled < FEW * answered:
        return f"{labeled:,} of {answered:,} answers have a label: others may be less right, unless these were drawn"
    return None


def _name(labels: list[str], number: int) -> str:
    if number < 0:
        return "(none)"
    return labels[number] if number < len(labels) else str(number)


def wilson(right: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927); n at least 1."""
    share, more = right / n, Z * Z / n
    center = (share + more / 2) / (1 + more)
    spread = Z * math.sqrt(share * (1 - share) / n + more / (4 * n)) / (1 + more)
    return max(0.0, center - spread), min(1.0, center + spread)
