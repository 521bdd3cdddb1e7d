"""Images in, labels and scores out. What happens in between is declared by the manifest, never code."""

from __future__ import annotations

from typing import Any

from shared.serving.cache import Loaded
from shared.serving.inputs import images
from shared.serving.tasks import running
from shared.serving.tasks.request import Options

TAKES = "image"


def step(loaded: Loaded) -> int:
    return 1 if images.any_size(loaded) else running.step(loaded)


def answer(loaded: Loaded, items: list[bytes], options: Options) -> list[dict[str, Any]]:
    """`{"predictions": [{"label", "score"}, …]}` for each encoded image, best first."""
    feeds, _ = images.feeds(loaded, items)
    plan, labels = running.plan_of(loaded), loaded.manifest.labels
    rows = running.class_scores(loaded, feeds)
    return [{"predictions": running.labelled(scores, labels, plan, options)} for scores in rows]
