"""Of an answer with labels, the best one of each item: what is counted of it, and what its id says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from shared.counts.bins import SCORES


class Best(NamedTuple):
    """label: None where none was good enough to be answered. score: its bin, 0 to 19."""

    label: str | None
    score: int


def of_items(answer: Any) -> Iterator[Best | None]:
    """For each result of an answer; None where there are no predictions of the whole item."""
    results = answer.get("results", [answer]) if isinstance(answer, Mapping) else []
    for result in results if isinstance(results, list) else []:
        yield _of_item(result)


def _of_item(result: Any) -> Best | None:
    predictions = result.get("predictions") if isinstance(result, Mapping) else None
    if not isinstance(predictions, list):
        return None
    if not predictions:
        return Best(None, 0)
    best = predictions[0]
    if not isinstance(best, Mapping) or "box" in best or not isinstance(best.get("score"), (int, float)):
        return None
    return Best(str(best.get("label")), min(max(int(best["score"] * SCORES), 0), SCORES - 1))
