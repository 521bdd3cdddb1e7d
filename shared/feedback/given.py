"""Labels as callers give them: checked one by one, against what the answer's version can say."""

# no `from __future__ import annotations`: msgspec resolves the texts at import

from collections.abc import Callable
from typing import Annotated

from msgspec import Meta, Struct

from shared.errors import AmaasError, BadInput
from shared.feedback import answers
from shared.feedback.answers import MOST_ITEMS, MOST_TEXT, Answer
from shared.feedback.labels import Given

MOST_GIVEN = 1000  # labels of a call
AHEAD = 60  # minutes by which the clock that made an answer's id may be wrong


class GivenLabel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The label that one item of an answer should have had."""

    answer_id: Annotated[str, Meta(max_length=MOST_TEXT, description="the answer's header x-amaas-answer-id")]
    label: Annotated[
        str, Meta(max_length=1000, description="one of the model's labels; of a class without one, its number")
    ]
    item: Annotated[int, Meta(ge=0, lt=MOST_ITEMS, description="of an answer with several results, which one")] = 0


class FeedbackRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    labels: Annotated[list[GivenLabel], Meta(min_length=1, max_length=MOST_GIVEN)]


class RefusedLabel(Struct, frozen=True, kw_only=True):
    """index: of the label in the request."""

    index: int
    error: str


class FeedbackAnswer(Struct, frozen=True, kw_only=True):
    """accepted: labels that count from now on. refused: the others, and why."""

    accepted: int
    refused: list[RefusedLabel]


LabelsOf = Callable[[int], list[str]]


def check(
    request: FeedbackRequest, labels_of: LabelsOf, *, at: int, post: str, days: int
) -> tuple[list[Given], list[RefusedLabel]]:
    """Labels to keep, and those that are refused.

    labels_of: a version's labels; raises NotFound for one that the model does not have. at: ms since the epoch, now.
    days: for how long after an answer its label is taken.
    """
    given: list[Given] = []
    refused: list[RefusedLabel] = []
    for index, one in enumerate(request.labels):
        try:
            given.append(_checked(one, labels_of, at, post, days))
        except AmaasError as error:
            if error.status >= 500:
                raise
            refused.append(RefusedLabel(index=index, error=str(error)))
    return given, refused


def _checked(one: GivenLabel, labels_of: LabelsOf, at: int, post: str, days: int) -> Given:
    answer = answers.decode(one.answer_id)
    if one.item >= len(answer.classes):
        raise BadInput(f"the answer has {len(answer.classes)} items that can be labeled: item counts from 0")
    age = at // 60_000 - answer.minute
    if age > days * 24 * 60 or age < -AHEAD:
        raise BadInput(f"the answer is older than the {days} days for which labels are taken, or of the future")
    return Given(one.answer_id, one.item, _class_number(one.label, labels_of(answer.version), answer), at, post)


def _class_number(label: str, labels: list[str], answer: Answer) -> int:
    number = answers.class_number(label, answers.class_numbers(labels), len(labels))
    if number is not None:
        return number
    shown = ", ".join(labels[:5]) + (", …" if len(labels) > 5 else "")
    raise BadInput(f"this is no label of version {answer.version}: give one of {shown or 'its class numbers'}")
