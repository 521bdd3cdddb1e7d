"""Texts, or pairs of them, in; labels and scores out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from shared.serving.inputs import texts
from shared.serving.inputs.request import Options
from shared.serving.loaded import Loaded
from shared.serving.outputs import classification
from shared.serving.tasks.base import Task

if TYPE_CHECKING:
    from shared.serving.explain import Options as ExplainOptions


class TextClassification(Task):
    def answer(self, loaded: Loaded, items: list[Any], options: Options) -> list[dict[str, Any]]:
        """`{"predictions": [{"label", "score"}, …]}` for each text, best first."""
        feeds, _ = texts.feeds(loaded, texts.items(items))
        return classification.answers(loaded, feeds, options)

    def explain(self, loaded: Loaded, item: Any, options: ExplainOptions) -> dict[str, Any]:
        from shared.serving.explain import texts as by_words

        return by_words.explain(loaded, item, options)

    def classes(self, loaded: Loaded, outputs: Mapping[str, np.ndarray], rows: int) -> range | None:
        return classification.classes(loaded, outputs, rows)


TASK = TextClassification()
