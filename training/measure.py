"""Measures a model as ONNX Runtime runs it: outputs, accuracy, how far from another model's."""

from __future__ import annotations

from typing import Any

import numpy as np

from shared.errors import AmaasError
from shared.runtime.arrays import DTYPES
from shared.runtime.onnx import Session
from training.errors import TrainingError
from training.package import Arrays
from training.report.quality import cross_entropy, wilson
from training.served import LEVELS, served

BATCH = 256


def outputs(running: Session, inputs: Arrays, batch: int = BATCH) -> Arrays:
    """All outputs of all rows, in batches, or in the batch that the model prescribes. Raises TrainingError."""
    feeds = typed(running, inputs)
    rows = rows_of(feeds)
    batch, parts = fixed_batch(running) or batch, []
    names = [output.name for output in running.outputs]
    for start in range(0, rows, batch):
        # a prescribed batch is filled up with its last row
        indices = np.minimum(np.arange(start, start + batch), rows - 1)
        indices = indices if fixed_batch(running) else indices[: rows - start]
        try:
            parts.append(running.run(names, {name: values[indices] for name, values in feeds.items()}))
        except AmaasError as error:
            raise TrainingError(f"the model does not run on these inputs ({error})") from error
    joined = {name: np.concatenate([part[n] for part in parts])[:rows] for n, name in enumerate(names)}
    for name, values in joined.items():
        if len(values) != rows:
            raise TrainingError(f"the output {name!r} does not have one row per input row: such models are not handled")
    return joined


def batch_of(manifest: dict[str, Any]) -> int:
    """How many rows a package's model is measured with at once. Scales of dynamic forms are taken over what is asked at
    once: theirs are asked one by one, as calls do.
    """
    step = ((manifest.get("lineage") or {}).get("details") or {}).get("step")
    return 1 if step == "dynamic" else BATCH


def rows_of(inputs: Arrays) -> int:
    counts = {len(values) for values in inputs.values() if values.ndim}
    if len(counts) != 1 or 0 in counts:
        raise TrainingError(f"the inputs have {sorted(counts)} rows: give arrays with the same number of rows, not 0")
    return counts.pop()


def fixed_batch(running: Session) -> int | None:
    fixed = {tensor.shape[0] for tensor in running.inputs if tensor.shape and tensor.shape[0] > 0}
    return fixed.pop() if len(fixed) == 1 else None


def scored(logits: np.ndarray, labels: np.ndarray, names: list[str]) -> dict[str, Any]:
    """accuracy with Wilson's interval, mean cross entropy, recall per class; of logits [N, classes], labels [N]."""
    right = logits.argmax(1) == labels
    accuracy = float(right.mean())
    recall = {name: float(right[labels == k].mean()) if (labels == k).any() else 0.0 for k, name in enumerate(names)}
    return {
        "accuracy": accuracy,
        "interval": wilson(accuracy, len(labels)),
        "loss": cross_entropy(logits, labels),
        "recall": recall,
    }


def apart(before: Arrays, after: Arrays) -> dict[str, float]:
    """max_abs_error, and noise: the error's root mean square as a share of the signal's, of the worst output."""
    largest, noise = 0.0, 0.0
    for name, expected in before.items():
        if expected.dtype.kind not in "fiub":
            continue
        actual, expected = after[name].astype(np.float64), expected.astype(np.float64)
        if not np.isfinite(actual).all():
            raise TrainingError(f"the output {name!r} is not finite any more: this step is not for this model")
        error, signal = actual - expected, float(np.sqrt(np.mean(expected**2)))
        largest = max(largest, float(np.abs(error).max(initial=0)))
        noise = max(noise, float(np.sqrt(np.mean(error**2))) / (signal or 1.0))
    return {"max_abs_error": largest, "noise": noise}


def steadiness(body: bytes, inputs: Arrays, expected: Arrays, batches: tuple[int, ...] = (BATCH, 1)) -> float:
    """The largest difference to want at any of ONNX Runtime's optimization levels and in any of the batch sizes.

    In integers, another order or fusion of the operations rounds to another step: whoever compares has to allow it.
    """
    gaps = [
        apart(expected, outputs(running, inputs, batch))["max_abs_error"]
        for level in LEVELS
        for running in [served(body, optimize=level)]
        for batch in batches
    ]
    return max(gaps)


def typed(running: Session, inputs: Arrays) -> Arrays:
    datatypes = {tensor.name: DTYPES.get(tensor.datatype) for tensor in running.inputs}
    if set(datatypes) != set(inputs):
        raise TrainingError(f"the inputs are named {sorted(inputs)}, the model takes {sorted(datatypes)}: name them so")
    return {name: np.asarray(inputs[name], kind) for name, kind in datatypes.items()}
