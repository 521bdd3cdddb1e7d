"""Sound in, labels and scores out; of longer sound, part by part."""

from __future__ import annotations

from typing import Any

import numpy as np

from shared.serving.inputs import sounds
from shared.serving.inputs.request import Options
from shared.serving.loaded import Loaded
from shared.serving.outputs import batching, classification

TAKES = "audio"


def step(loaded: Loaded) -> int:
    return 1  # sounds differ in length


def answer(loaded: Loaded, items: list[bytes], options: Options) -> list[dict[str, Any]]:
    """`{"predictions": […]}` for each sound; where it is gone through in parts, of their mean, and `segments`."""
    return [_answer(loaded, item, options) for item in items]


def _answer(loaded: Loaded, item: bytes, options: Options) -> dict[str, Any]:
    tensor, plan = sounds.signature(loaded)
    parts = sounds.windows(sounds.decode(item, plan.sample_rate), plan)
    after, labels = classification.declared(loaded), loaded.manifest.labels
    size = batching.per_run(loaded)
    heard = [part for _, part in parts]
    groups = [heard[start : start + size] for start in range(0, len(heard), size)]
    rows = np.concatenate([classification.scores(loaded, sounds.feeds(tensor, plan, group)) for group in groups])
    found: dict[str, Any] = {"predictions": classification.labelled(rows.mean(axis=0), labels, after, options)}
    if plan.hop and plan.seconds:
        found["segments"] = [
            {
                "start": start,
                "end": start + plan.seconds,
                "predictions": classification.labelled(row, labels, after, options),
            }
            for (start, _), row in zip(parts, rows, strict=True)
        ]
    return found
