"""Which words speak for a class: how much the score falls when each is left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from shared import budget
from shared.errors import BadInput
from shared.groups import in_groups
from shared.serving.explain import Options, class_index, heading
from shared.serving.inputs import texts
from shared.serving.loaded import Loaded
from shared.serving.outputs import batching, classification

WORD = re.compile(r"\w+|[^\w\s]+")
MOST = 256  # parts that are left out, one at a time; of longer texts, neighbors together


def explain(loaded: Loaded, value: Any, options: Options) -> dict[str, Any]:
    """Of a text as it was sent. Raises BadInput."""
    [item] = texts.items([value])
    if not isinstance(item, str):
        raise BadInput("single texts are explained, and no pairs: send the text alone")
    parts = spans(item)
    if not parts:
        raise BadInput("the text has no words")
    size = batching.per_run(loaded, texts.CHARACTER * len(item))
    without: Iterator[str] = (item[:start] + item[end:] for start, end in [(0, 0), *parts])
    scores = batching.gathered(
        in_groups(without, size), lambda group: _scores(loaded, group), f"the scores of {len(parts) + 1} texts"
    )
    index = class_index(loaded, scores[0], options)
    falls = scores[0, index] - scores[1:, index]
    return heading(loaded, scores[0], index, "leave-one-out") | {
        "attributions": [
            {"text": item[start:end], "start": start, "end": end, "attribution": round(float(fall), 6)}
            for (start, end), fall in zip(parts, falls, strict=True)
        ]
    }


def spans(text: str) -> list[tuple[int, int]]:
    """Places of words and signs, as [start, end); at most MOST, then of several together."""
    words = [match.span() for match in WORD.finditer(text)]
    size = -(-len(words) // MOST)
    return [(words[i][0], words[min(i + size, len(words)) - 1][1]) for i in range(0, len(words), size or 1)]


def _scores(loaded: Loaded, group: list[str]) -> np.ndarray:
    budget.take(texts.CHARACTER * sum(len(text) for text in group), f"{len(group)} texts, each without a part,")
    return classification.scores(loaded, texts.feeds(loaded, [*group])[0])
