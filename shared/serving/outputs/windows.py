"""Scores of the parts that a sound is gone through in, as many at a time as there is room for."""

from __future__ import annotations

import numpy as np

from shared.groups import in_groups
from shared.serving.inputs import sounds
from shared.serving.loaded import Loaded
from shared.serving.outputs import batching, classification


def scores(loaded: Loaded, parts: list[np.ndarray]) -> np.ndarray:
    """Of parts of equal length: [parts, classes]. Raises as classification.scores, and TooLarge."""
    tensor, plan = sounds.signature(loaded)
    size = batching.per_run(loaded, sounds.part_bytes(len(parts[0]), tensor, plan))

    def compute(group: list[np.ndarray]) -> np.ndarray:
        return classification.scores(loaded, sounds.feeds(tensor, plan, group))

    return batching.gathered(in_groups(parts, size), compute, f"the scores of {len(parts):,} parts")
