"""Texts, or pairs of them, in; labels and scores out."""

from __future__ import annotations

from typing import Any

from shared.serving.inputs import texts
from shared.serving.inputs.request import Options
from shared.serving.loaded import Loaded
from shared.serving.outputs import batching, classification

TAKES = "text"
step = batching.per_run


def answer(loaded: Loaded, items: list[Any], options: Options) -> list[dict[str, Any]]:
    """`{"predictions": [{"label", "score"}, …]}` for each text, best first."""
    feeds, _ = texts.feeds(loaded, texts.items(items))
    plan, labels = classification.declared(loaded), loaded.manifest.labels
    rows = classification.scores(loaded, feeds)
    return [{"predictions": classification.labelled(scores, labels, plan, options)} for scores in rows]
