"""Which stretches of time speak for a class: how much the score falls when each is silenced."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from shared import budget
from shared.serving.explain import Options, class_index, heading
from shared.serving.inputs import sounds
from shared.serving.loaded import Loaded
from shared.serving.outputs import windows

BANDS = 20


def explain(loaded: Loaded, body: bytes, options: Options) -> dict[str, Any]:
    """Of an encoded sound. Raises BadInput."""
    _tensor, plan = sounds.signature(loaded)
    samples = sounds.decode(body, plan.sample_rate)
    edges = np.linspace(0, len(samples), min(BANDS, len(samples)) + 1).astype(int).tolist()
    bands = list(itertools.pairwise(edges))
    whole = _scores(loaded, samples)
    index = class_index(loaded, whole, options)
    budget.take(2 * samples.nbytes, "the sound, with a part of it silenced,")
    falls = [whole[index] - _scores(loaded, _silence(samples, start, end))[index] for start, end in bands]
    return heading(loaded, whole, index, "occlusion") | {
        "attributions": [
            {
                "start": round(start / plan.sample_rate, 4),
                "end": round(end / plan.sample_rate, 4),
                "attribution": round(float(fall), 6),
            }
            for (start, end), fall in zip(bands, falls, strict=True)
        ]
    }


def _silence(samples: np.ndarray, start: int, end: int) -> np.ndarray:
    changed = samples.copy()
    changed[start:end] = 0
    return changed


def _scores(loaded: Loaded, samples: np.ndarray) -> np.ndarray:
    """The scores of a sound: the mean over the parts that it is gone through in, as predict has it."""
    with budget.part():
        parts = [part for _, part in sounds.windows(samples, sounds.signature(loaded)[1])]
        return np.asarray(windows.scores(loaded, parts).mean(axis=0))
