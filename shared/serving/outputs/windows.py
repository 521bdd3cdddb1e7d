"""Scores of the parts that a sound is gone through in, as many at a time as there is room for."""

from __future__ import annotations

import numpy as np

from shared import budget
from shared.serving.inputs import sounds
from shared.serving.loaded import Loaded
from shared.serving.outputs import batching, classification


def scores(loaded: Loaded, parts: list[np.ndarray]) -> np.ndarray:
    """Of parts of equal length: [parts, classes]. Raises as classification.scores, and TooLarge."""
    tensor, plan = sounds.signature(loaded)
    size = batching.per_run(loaded, sounds.part_bytes(len(parts[0]), tensor, plan))
    rows: list[np.ndarray] = []
    for start in range(0, len(parts), size):
        with budget.part():
            rows.append(classification.scores(loaded, sounds.feeds(tensor, plan, parts[start : start + size])))
        budget.take(2 * rows[-1].nbytes, f"the scores of {len(parts):,} parts")
    return np.concatenate(rows)
