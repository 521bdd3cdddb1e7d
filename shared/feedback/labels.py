"""Labels that were given to answers: of each item the last one counts, in whatever order and how often they arrive.

A table of them is a map in which the latest entry wins, so joining tables is commutative, associative and idempotent:
merges may be repeated, interrupted, and overtake each other.
"""

# no `from __future__ import annotations`: msgspec resolves the texts at import

import hashlib
import heapq
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec
from msgspec import Struct, field

from shared.counts.times import DAY
from shared.errors import BadInput
from shared.feedback import answers
from shared.feedback.answers import Answer
from shared.formats import Damaged

MOST = 200_000  # labels of a model's answers of one day: of more, a sample is kept


class Given(Struct, frozen=True, array_like=True):
    """A label that was given to one item of an answer. label: the number of the class. at: ms since the epoch.

    post: the id of the call that gave it, for those of the same millisecond.
    """

    answer_id: str
    item: int
    label: int
    at: int
    post: str

    @property
    def place(self) -> str:
        return f"{self.answer_id}#{self.item}"


class Labels(Struct, tag_field="format", tag=1, omit_defaults=True, kw_only=True):
    """As they are stored: of a call, or of a model's answers of one day. dropped: beyond MOST, some perhaps twice."""

    given: list[Given] = field(default_factory=list)
    dropped: int = 0


LABELS = msgspec.json.Decoder(Labels)


class Judged(NamedTuple):
    """An item whose label is known: which class it was answered with, and which would have been right."""

    answer: Answer
    predicted: int
    score: int
    label: int

    @property
    def is_right(self) -> bool:
        return self.predicted == self.label


def day_of(answer: Answer) -> int:
    """Days since the epoch (UTC): labels are stored by the day of their answers."""
    return answer.minute // DAY


def join(first: Labels, *more: Labels) -> Labels:
    """All labels of the tables, the last one of each item; the same whatever the order is."""
    latest: dict[str, Given] = {}
    for one in (first, *more):
        for given in one.given:
            known = latest.get(given.place)
            if known is None or (known.at, known.post, known.label) < (given.at, given.post, given.label):
                latest[given.place] = given
    every = list(latest.values())
    kept = every if len(every) <= MOST else heapq.nsmallest(MOST, every, key=_lot)
    dropped = max(one.dropped for one in (first, *more)) + len(every) - len(kept)
    return Labels(given=sorted(kept, key=lambda given: (given.at, given.post, given.place)), dropped=dropped)


def _lot(given: Given) -> bytes:
    """By which items stay where there are too many: a sample that no order of arrival, and no other label, changes."""
    return hashlib.sha256(given.place.encode()).digest()


def judged(labels: Labels) -> Iterator[Judged]:
    """Raises Damaged for what cannot have been stored."""
    for given in labels.given:
        try:
            answer = answers.decode(given.answer_id)
        except BadInput as error:
            raise Damaged("labels are damaged: one has no answer's id") from error
        if not 0 <= given.item < len(answer.classes):
            raise Damaged("labels are damaged: one is of an item that its answer does not have")
        yield Judged(answer, answer.classes[given.item], answer.scores[given.item], given.label)


def by_day(given: Iterable[Given]) -> dict[int, Labels]:
    """Labels by the day of their answers. Raises BadInput."""
    days: dict[int, Labels] = {}
    for one in given:
        days.setdefault(day_of(answers.decode(one.answer_id)), Labels()).given.append(one)
    return days
