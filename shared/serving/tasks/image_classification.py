"""Images in, labels and scores out. What happens in between is declared by the manifest, never code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from shared.serving.inputs import images
from shared.serving.inputs.request import Options
from shared.serving.loaded import Loaded
from shared.serving.outputs import batching, classification
from shared.serving.tasks.base import Task

if TYPE_CHECKING:
    from shared.serving.explain import Options as ExplainOptions


class ImageClassification(Task):
    def per_run(self, loaded: Loaded) -> int:
        return 1 if images.any_size(loaded) else batching.per_run(loaded)

    def answer(self, loaded: Loaded, items: list[bytes], options: Options) -> list[dict[str, Any]]:
        """`{"predictions": [{"label", "score"}, …]}` for each encoded image, best first."""
        feeds, _ = images.feeds(loaded, items)
        return classification.answers(loaded, feeds, options)

    def explain(self, loaded: Loaded, item: bytes, options: ExplainOptions) -> dict[str, Any] | bytes:
        from shared.serving.explain import images as by_patches

        return by_patches.explain(loaded, item, options)

    def classes(self, loaded: Loaded, outputs: Mapping[str, np.ndarray], rows: int) -> range | None:
        return classification.classes(loaded, outputs, rows)


TASK = ImageClassification()
