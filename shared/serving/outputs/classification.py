"""Scores of classes, as the package's `postprocess` declares them, and the labels that go with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from msgspec.structs import replace

from shared import budget
from shared.errors import BadInput
from shared.package.processing import Entailment, Scores, Similarity
from shared.serving.inputs.request import Options
from shared.serving.loaded import Loaded
from shared.serving.outputs import batching
from shared.values import numbers

WIDE = 32  # bytes of a number while scores are made of it: in FP64, and what is in between
ENTRY = 400  # bytes of an object in an answer, its JSON included, but for its texts


def declared(loaded: Loaded) -> Scores:
    """The package's postprocess, with the usual activation filled in."""
    postprocess = loaded.manifest.postprocess
    scores = postprocess if isinstance(postprocess, Scores) else Scores()
    if scores.activation is not None:
        return scores
    return replace(scores, activation="none" if loaded.manifest.input_kind == "table" else "softmax")


def output(loaded: Loaded) -> str:
    """The output with the scores: as declared, else the first; if that has no row of floats per input, one that has."""
    name = declared(loaded).output
    floats = [o.name for o in loaded.manifest.outputs if o.datatype in ("FP32", "FP16", "FP64") and len(o.shape) >= 2]
    first = loaded.manifest.outputs[0].name
    return name or (first if first in floats or not floats else floats[0])


def scores(loaded: Loaded, feeds: dict[str, np.ndarray]) -> np.ndarray:
    """Activated scores, [rows, classes] in FP64. Raises BadInput for a model that gives no row of scores, NoNumber."""
    name = output(loaded)
    values = np.asarray(batching.run(loaded, feeds, [name])[name])
    total = batching.rows(feeds)
    if values.dtype.kind not in "fiu" or values.size % total or not values.size:
        raise BadInput(f"output {name!r} of shape {list(values.shape)} is no row of scores per input")
    budget.take(values.size * WIDE, f"the output {name!r} of {values.size:,} numbers")
    rows = values.astype(np.float64).reshape(total, -1)
    activation = declared(loaded).activation
    # a softmax of one score is 1, whatever it was
    return activated(rows, "sigmoid" if activation == "softmax" and rows.shape[1] == 1 else activation)


def activated(values: np.ndarray, activation: str | None) -> np.ndarray:
    """Scores to answer, from raw outputs. Raises NoNumber where they are none."""
    answered = activate(values, activation)
    numbers.require_finite(answered, "score")
    return answered


def activate(values: np.ndarray, activation: str | None) -> np.ndarray:
    """Scores from raw outputs, over the last axis; of what is no number, none."""
    if activation == "softmax":
        with np.errstate(invalid="ignore"):
            powers = np.exp(values - values.max(axis=-1, keepdims=True))
            return np.asarray(powers / powers.sum(axis=-1, keepdims=True))
    if activation == "sigmoid":
        return np.asarray(0.5 * (1 + np.tanh(0.5 * values)))  # 1 / (1 + exp(-x)), which overflows
    return values


def answers(loaded: Loaded, feeds: dict[str, np.ndarray], options: Options) -> list[dict[str, Any]]:
    """`{"predictions": [{"label", "score"}, …]}` for each row, best first. Raises BadInput as `scores`."""
    return [{"predictions": best_labels(loaded, row, options)} for row in scores(loaded, feeds)]


def classes(loaded: Loaded, outputs: Mapping[str, np.ndarray], rows: int) -> range | None:
    """How many labels fit the outputs of a run: one per score. None where there are no scores of so many rows."""
    values = outputs[output(loaded)]
    if values.dtype.kind != "f" or not rows:
        return None
    return range(values.size // rows, values.size // rows + 1)


def best_labels(loaded: Loaded, row: np.ndarray, options: Options) -> list[dict[str, Any]]:
    """The best labels of one row of scores, best first."""
    return best_of(loaded.manifest.labels, row, declared(loaded), options)


def best_of(
    labels: list[str], row: np.ndarray, plan: Scores | Entailment | Similarity, options: Options
) -> list[dict[str, Any]]:
    """The best of these labels by a row with a score for each, best first."""
    threshold = options.threshold if options.threshold is not None else plan.threshold
    best = np.argsort(-row, kind="stable")[: options.top_k or plan.top_k]
    if threshold is not None:
        best = best[row[best] >= threshold]
    names = [label(labels, int(index)) for index in best]
    budget.keep(sum(ENTRY + 2 * len(name) for name in names), f"an answer of {len(names):,} labels")
    return [{"label": name, "score": round(float(row[index]), 6)} for name, index in zip(names, best, strict=True)]


def label(labels: list[str], index: int) -> str:
    return labels[index] if 0 <= index < len(labels) else str(index)
