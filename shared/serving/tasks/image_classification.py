"""Images in, labels and scores out. What happens in between is declared by the manifest, never code."""

from __future__ import annotations

from typing import Any

from shared.serving.inputs import images
from shared.serving.inputs.request import Options
from shared.serving.loaded import Loaded
from shared.serving.outputs import batching, classification

TAKES = "image"


def step(loaded: Loaded) -> int:
    return 1 if images.any_size(loaded) else batching.per_run(loaded)


def answer(loaded: Loaded, items: list[bytes], options: Options) -> list[dict[str, Any]]:
    """`{"predictions": [{"label", "score"}, …]}` for each encoded image, best first."""
    feeds, _ = images.feeds(loaded, items)
    plan, labels = classification.declared(loaded), loaded.manifest.labels
    rows = classification.scores(loaded, feeds)
    return [{"predictions": classification.labelled(scores, labels, plan, options)} for scores in rows]
