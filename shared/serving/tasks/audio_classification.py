"""Sound in, labels and scores out; of longer sound, part by part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from shared.serving.inputs import sounds
from shared.serving.inputs.request import Options
from shared.serving.loaded import Loaded
from shared.serving.outputs import classification, windows
from shared.serving.tasks.base import Task

if TYPE_CHECKING:
    from shared.serving.explain import Options as ExplainOptions


class AudioClassification(Task):
    def per_run(self, loaded: Loaded) -> int:
        return 1  # sounds differ in length

    def answer(self, loaded: Loaded, items: list[bytes], options: Options) -> list[dict[str, Any]]:
        """`{"predictions": […]}` for each sound; where it is gone through in parts, of their mean, and `segments`."""
        return [_answer(loaded, item, options) for item in items]

    def explain(self, loaded: Loaded, item: bytes, options: ExplainOptions) -> dict[str, Any]:
        from shared.serving.explain import sounds as by_stretches

        return by_stretches.explain(loaded, item, options)

    def classes(self, loaded: Loaded, outputs: Mapping[str, np.ndarray], rows: int) -> range | None:
        return classification.classes(loaded, outputs, rows)


def _answer(loaded: Loaded, item: bytes, options: Options) -> dict[str, Any]:
    _, plan = sounds.signature(loaded)
    samples = sounds.decode(item, plan.sample_rate)
    loaded.note([samples])
    parts = sounds.windows(samples, plan)
    rows = windows.scores(loaded, [part for _, part in parts])
    answer: dict[str, Any] = {"predictions": classification.best_labels(loaded, rows.mean(axis=0), options)}
    if plan.hop and plan.seconds:
        answer["segments"] = [
            {
                "start": start,
                "end": start + plan.seconds,
                "predictions": classification.best_labels(loaded, row, options),
            }
            for (start, _), row in zip(parts, rows, strict=True)
        ]
    return answer


TASK = AudioClassification()
