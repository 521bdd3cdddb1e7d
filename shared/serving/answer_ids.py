"""The id of an answer with classes, by which callers can say later what would have been right (feedback/answers.py)."""

from __future__ import annotations

import time
from itertools import islice
from typing import Any

from shared.feedback.answers import MOST_ITEMS, NONE, Answer, class_number, class_numbers, encode, nonce
from shared.serving import best
from shared.serving.loaded import Loaded

NUMBERS = "numbers of labels"  # of a loaded model's parts, which have no spaces


def of_answer(loaded: Loaded, answer: Any) -> str | None:
    """None for what has no classes of whole items."""
    items = [*islice(best.of_items(answer), MOST_ITEMS)]
    known = [item for item in items if item is not None]
    classes = [_class_of(loaded, item.label) for item in known]
    if len(known) != len(items) or all(number == NONE for number in classes):
        return None
    return encode(
        Answer(
            version=loaded.version.version,
            alias=loaded.alias,
            since=loaded.since,
            minute=int(time.time() // 60),
            nonce=nonce(),
            classes=classes,
            scores=[item.score for item in known],
        )
    )


def _class_of(loaded: Loaded, label: str | None) -> int:
    labels = loaded.manifest.labels
    numbers: dict[str, int] | None = loaded.parts.get(NUMBERS)
    if numbers is None:
        numbers = loaded.parts[NUMBERS] = class_numbers(labels)
    number = None if label is None else class_number(label, numbers, len(labels))
    return NONE if number is None else number
