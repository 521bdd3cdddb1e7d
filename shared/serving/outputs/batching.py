"""Running a model on rows, which are its first axis: as many at a time as it takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TypeVar

import numpy as np

from shared import budget
from shared.package.manifest import Tensor
from shared.runtime.arrays import DTYPES
from shared.serving.loaded import Loaded

Group = TypeVar("Group")

DEFAULT_BATCH = 32  # of a model that takes any number
COPIES = 3  # of a row: as it was decoded, as numbers, and behind the wall


def per_run(loaded: Loaded, each: int | None = None) -> int:
    """How many rows go into one run: what the model fixes, else DEFAULT_BATCH, or fewer if a call has no room for them.

    each: bytes that a row takes; omitted, what follows of the model's inputs, where their sizes are fixed.
    """
    if each is None:
        each = COPIES * sum(_bytes(tensor) for tensor in loaded.manifest.inputs)
    return _fixed_batch(loaded.manifest.inputs) or budget.fitting(DEFAULT_BATCH, each)


def _bytes(tensor: Tensor) -> int:
    """Of a row; 0 where its size is not fixed."""
    sizes = tensor.shape[1:]
    return math.prod(sizes) * DTYPES[tensor.datatype].itemsize if all(size > 0 for size in sizes) else 0


def gathered(groups: Iterable[Group], compute: Callable[[Group], np.ndarray], what: str) -> np.ndarray:
    """What is computed of each group, in one array. what: the whole, in the sentence that refuses it.

    A group's memory is free when its part is there. The parts take twice their size: they are put together in the end.
    """
    parts: list[np.ndarray] = []
    for group in groups:
        with budget.part():
            parts.append(compute(group))
        budget.take(2 * parts[-1].nbytes, what)
    return np.concatenate(parts)


def _fixed_batch(inputs: list[Tensor]) -> int | None:
    sizes = {tensor.shape[0] for tensor in inputs if tensor.shape and tensor.shape[0] > 0}
    return sizes.pop() if len(sizes) == 1 else None


def rows(feeds: dict[str, np.ndarray]) -> int:
    return len(next(iter(feeds.values())))


def run(loaded: Loaded, feeds: dict[str, np.ndarray], names: list[str] | None = None) -> dict[str, np.ndarray]:
    """Outputs for all rows of feeds, in several runs if the model's batch is fixed; the last one is filled up."""
    total = rows(feeds)
    outputs = names or [output.name for output in loaded.manifest.outputs]
    size = _fixed_batch(loaded.manifest.inputs)
    if size is None or size == total:
        return dict(zip(outputs, loaded.session.run(outputs, feeds), strict=True))
    parts = []
    for start in range(0, total, size):
        parts.append(_run_padded(loaded, outputs, feeds, start, size))
        # once more: they are put together in the end
        budget.take(2 * sum(array.nbytes for array in parts[-1]), f"the model's answer to {total:,} inputs")
    return {name: np.concatenate([part[index] for part in parts])[:total] for index, name in enumerate(outputs)}


def _run_padded(
    loaded: Loaded, outputs: list[str], feeds: dict[str, np.ndarray], start: int, size: int
) -> list[np.ndarray]:
    part = {name: values[start : start + size] for name, values in feeds.items()}
    short = size - rows(part)
    if short:
        part = {name: np.concatenate([values, np.repeat(values[-1:], short, 0)]) for name, values in part.items()}
    return loaded.session.run(outputs, part)
