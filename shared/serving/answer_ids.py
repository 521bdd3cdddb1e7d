"""The id of an answer with classes, by which callers can say later what would have been right (feedback/answers.py)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from shared.feedback.answers import MOST_ITEMS, NONE, SCORES, Answer, encode, nonce
from shared.serving.loaded import Loaded

NUMBERS = "numbers of labels"  # of a loaded model's parts, which have no spaces


def of_answer(loaded: Loaded, answer: Any, distinct: bytes | None = None) -> str | None:
    """None for what has no classes of whole items. distinct: six bytes of this answer alone; without, random ones."""
    results = answer.get("results", [answer]) if isinstance(answer, Mapping) else None
    if not isinstance(results, list) or not results:
        return None
    items = [_best(loaded, result) for result in results[:MOST_ITEMS]]
    best = [item for item in items if item is not None]
    if len(best) != len(items) or all(number == NONE for number, _ in best):
        return None
    return encode(
        Answer(
            version=loaded.version.version,
            alias=loaded.alias,
            since=loaded.since,
            minute=int(time.time() // 60),
            nonce=distinct or nonce(),
            classes=[number for number, _ in best],
            scores=[score for _, score in best],
        )
    )


def _best(loaded: Loaded, result: Any) -> tuple[int, int] | None:
    """The number of the best class, and the bin of its score. None where predictions are not of the whole item."""
    predictions = result.get("predictions") if isinstance(result, Mapping) else None
    if not isinstance(predictions, list):
        return None
    if not predictions:
        return NONE, 0
    best = predictions[0]
    if not isinstance(best, Mapping) or "box" in best or not isinstance(best.get("score"), (int, float)):
        return None
    number = class_number(loaded.manifest.labels, str(best.get("label")), loaded.parts)
    return (NONE if number is None else number), min(max(int(best["score"] * SCORES), 0), SCORES - 1)


def class_number(labels: list[str], label: str, parts: dict[str, Any]) -> int | None:
    """Of a label, as answers have it: classes without one are called by their number. parts: remembers it for all."""
    numbers: dict[str, int] | None = parts.get(NUMBERS)
    if numbers is None:
        numbers = parts[NUMBERS] = {name: number for number, name in reversed([*enumerate(labels)])}
    number = numbers.get(label)
    if number is None and label.isascii() and label.isdigit() and len(labels) <= int(label[:10]) < 2**31:
        return int(label)
    return number
