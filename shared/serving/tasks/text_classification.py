"""Texts, or pairs of them, in; labels and scores out."""

from __future__ import annotations

from typing import Any

from shared.serving.cache import Loaded
from shared.serving.inputs import texts
from shared.serving.tasks import running
from shared.serving.tasks.request import Options

TAKES = "text"
step = running.step


def answer(loaded: Loaded, items: list[Any], options: Options) -> list[dict[str, Any]]:
    """`{"predictions": [{"label", "score"}, …]}` for each text, best first."""
    feeds, _ = texts.feeds(loaded, texts.items(items))
    plan, labels = running.plan_of(loaded), loaded.manifest.labels
    rows = running.class_scores(loaded, feeds)
    return [{"predictions": running.labelled(scores, labels, plan, options)} for scores in rows]
