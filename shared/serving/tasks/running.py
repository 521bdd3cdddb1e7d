"""Running a model on rows: as many at a time as it takes, and the scores of its classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec.structs import replace

from shared.errors import BadInput
from shared.package.manifest import Tensor
from shared.package.processing import Scores
from shared.serving.cache import Loaded
from shared.serving.tasks.request import Options

AT_ONCE = 32


def step(loaded: Loaded) -> int:
    """How many rows go into one run: what the model fixes, else AT_ONCE."""
    fixed = _fixed(loaded.manifest.inputs)
    return fixed or AT_ONCE


def _fixed(inputs: list[Tensor]) -> int | None:
    found = {tensor.shape[0] for tensor in inputs if tensor.shape and tensor.shape[0] > 0}
    return found.pop() if len(found) == 1 else None


def run(loaded: Loaded, feeds: dict[str, np.ndarray], names: list[str] | None = None) -> dict[str, np.ndarray]:
    """Outputs for all rows of feeds, in several runs where the model's batch is fixed; the last one is filled up."""
    rows = len(next(iter(feeds.values())))
    wanted = names or [output.name for output in loaded.manifest.outputs]
    size = _fixed(loaded.manifest.inputs)
    if size is None or size == rows:
        return dict(zip(wanted, loaded.session.run(wanted, feeds), strict=True))
    parts = [_filled(loaded, wanted, feeds, start, size) for start in range(0, rows, size)]
    return {name: np.concatenate([part[index] for part in parts])[:rows] for index, name in enumerate(wanted)}


def _filled(loaded: Loaded, wanted: list[str], feeds: dict[str, np.ndarray], start: int, size: int) -> list[np.ndarray]:
    part = {name: values[start : start + size] for name, values in feeds.items()}
    short = size - len(next(iter(part.values())))
    if short:
        part = {name: np.concatenate([values, np.repeat(values[-1:], short, 0)]) for name, values in part.items()}
    return loaded.session.run(wanted, part)


def plan_of(loaded: Loaded) -> Scores:
    declared = loaded.manifest.postprocess
    plan = declared if isinstance(declared, Scores) else Scores()
    if plan.activation is not None:
        return plan
    return replace(plan, activation="none" if loaded.manifest.task == "tabular" else "softmax")


def scores_output(loaded: Loaded) -> str:
    """The output with the scores: as declared, else the last of numbers with one row per input."""
    named = plan_of(loaded).output
    floats = [o.name for o in loaded.manifest.outputs if o.datatype in ("FP32", "FP16", "FP64") and len(o.shape) >= 2]
    first = loaded.manifest.outputs[0].name
    return named or (first if first in floats or not floats else floats[0])


def class_scores(loaded: Loaded, feeds: dict[str, np.ndarray]) -> np.ndarray:
    """The activated scores, [rows, classes] in FP64. Raises BadInput for a model that gives no row of scores."""
    name = scores_output(loaded)
    values = np.asarray(run(loaded, feeds, [name])[name])
    rows = len(next(iter(feeds.values())))
    if values.dtype.kind not in "fiu" or values.size % rows or not values.size:
        raise BadInput(f"output {name!r} of shape {list(values.shape)} is no row of scores per input")
    return activated(values.astype(np.float64).reshape(rows, -1), plan_of(loaded).activation)


def activated(values: np.ndarray, activation: str | None) -> np.ndarray:
    """Scores from raw outputs, over the last axis."""
    if activation == "softmax":
        powers = np.exp(values - values.max(axis=-1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=-1, keepdims=True))
    if activation == "sigmoid":
        return np.asarray(0.5 * (1 + np.tanh(0.5 * values)))  # 1 / (1 + exp(-x)), which overflows
    return values


def labelled(scores: np.ndarray, labels: list[str], plan: Scores, options: Options) -> list[dict[str, Any]]:
    """The best labels of one row of scores, best first."""
    threshold = options.threshold if options.threshold is not None else plan.threshold
    best = np.argsort(-scores, kind="stable")[: options.top_k or plan.top_k]
    return [
        {"label": label(labels, int(index)), "score": round(float(scores[index]), 6)}
        for index in best
        if threshold is None or scores[index] >= threshold
    ]


def label(labels: list[str], index: int) -> str:
    return labels[index] if 0 <= index < len(labels) else str(index)
