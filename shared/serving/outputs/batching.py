"""Running a model on rows, which are its first axis: as many at a time as it takes."""

from __future__ import annotations

import numpy as np

from shared.package.manifest import Tensor
from shared.serving.loaded import Loaded

DEFAULT_BATCH = 32  # of a model that takes any number


def per_run(loaded: Loaded) -> int:
    """How many rows go into one run: what the model fixes, else DEFAULT_BATCH."""
    return _fixed_batch(loaded.manifest.inputs) or DEFAULT_BATCH


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
    parts = [_run_padded(loaded, outputs, feeds, start, size) for start in range(0, total, size)]
    return {name: np.concatenate([part[index] for part in parts])[:total] for index, name in enumerate(outputs)}


def _run_padded(
    loaded: Loaded, outputs: list[str], feeds: dict[str, np.ndarray], start: int, size: int
) -> list[np.ndarray]:
    part = {name: values[start : start + size] for name, values in feeds.items()}
    short = size - rows(part)
    if short:
        part = {name: np.concatenate([values, np.repeat(values[-1:], short, 0)]) for name, values in part.items()}
    return loaded.session.run(outputs, part)
