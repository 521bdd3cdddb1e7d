"""The classification extension: instead of an output's values, the k highest of each row as "value:index:label"."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from shared import budget
from shared.errors import BadInput
from shared.package.manifest import Tensor
from shared.runtime.arrays import computable
from shared.serving.protocol.binary import object_array

SORTED = 24  # bytes of a number's places while they are sorted
ELEMENT = 250  # bytes of a text in the answer, its parts and its JSON included, and its label


def count_classes(parameters: dict[str, Any], output: Tensor) -> int:
    """How many classes are requested. Raises BadInput."""
    count = parameters["classification"]
    if type(count) is not int or count < 1:
        raise BadInput(f"output {output.name!r}: classification is the number of classes, from 1, not {count!r:.40}")
    if output.datatype == "BYTES":
        raise BadInput(f"output {output.name!r} is BYTES: there is nothing to classify, ask for the output itself")
    return int(count)


def classify(scores: np.ndarray, count: int, labels: list[str]) -> np.ndarray:
    """Best first, of equal ones the lower index: BYTES of shape [batch, k], [k] for a single row, k <= count.

    The first of several dimensions is the batch, the others are classes together. Text comes from `labels` where
    there is one for each class; without, elements are "value:index". NaN is less than everything.
    """
    size = scores.size * (2 * scores.itemsize + SORTED)
    budget.take(size + _count(scores, count) * ELEMENT, f"the classification of {scores.size:,} numbers")
    rows = scores.reshape(scores.shape[0], math.prod(scores.shape[1:])) if scores.ndim > 1 else scores.reshape(1, -1)
    values = _numeric(rows)
    best = _sort_descending(values)[:, :count]
    has_labels = len(labels) == values.shape[1]
    elements = [
        f"{value}:{index}:{labels[index]}" if has_labels else f"{value}:{index}"
        for row, top in zip(values, best, strict=True)
        for value, index in zip(row[top].astype(str).tolist(), top.tolist(), strict=True)
    ]
    return object_array(elements).reshape([*scores.shape[:1], best.shape[1]] if scores.ndim > 1 else [best.shape[1]])


def least(scores: np.ndarray, count: int) -> int:
    """The fewest characters of the answer: a digit, a colon and a digit each."""
    return 3 * _count(scores, count)


def _count(scores: np.ndarray, count: int) -> int:
    """Elements of the answer."""
    rows = scores.shape[0] if scores.ndim > 1 else 1
    return min(scores.size, rows * count)


def _numeric(rows: np.ndarray) -> np.ndarray:
    return rows.astype(np.uint8) if rows.dtype == np.bool_ else computable(rows)


def _sort_descending(values: np.ndarray) -> np.ndarray:
    """Indices of each row's values, highest first. Reversed twice: negating would wrap unsigned integers."""
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values), -np.inf, values)
    backwards = np.argsort(values[:, ::-1], axis=1, kind="stable")[:, ::-1]
    return np.asarray(values.shape[1] - 1 - backwards)
