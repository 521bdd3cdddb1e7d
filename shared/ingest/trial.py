"""Running a model once: made-up inputs, and whether two sets of outputs are the same."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from shared.errors import BadInput
from shared.ingest.verdict import Limits, Refused
from shared.runtime.onnx import BF16, DTYPES, Session, TensorSpec, to_bfloat16, widened

Feeds = dict[str, np.ndarray]

# What stands for -1: (first dimension, the others). Small first; convolutions and pooling need some room.
SIZES = ((1, 1), (1, 8), (1, 64), (2, 2), (1, 224))
MAX_PROBE_ELEMENTS = 32_000_000
GOLDEN_RATIO = 0.6180339887498949  # its multiples' fractions are spread evenly, and no random generator is imported


def probe(session: Session, limits: Limits) -> tuple[Feeds, list[np.ndarray]] | None:
    """Inputs that the model runs on, and its outputs; None when none of the made-up ones will do.

    Raises Refused when the outputs are larger than a call can answer, OutOfMemory when they do not even fit here.
    """
    for sizes in dict.fromkeys(SIZES if _varies(session) else SIZES[:1]):
        feeds = {spec.name: _made_up(spec, *sizes) for spec in session.inputs}
        try:
            outputs = session.run(None, feeds)
        except BadInput:
            continue
        _check_outputs(session, outputs, limits)
        return feeds, outputs
    return None


def _varies(session: Session) -> bool:
    return any(-1 in spec.shape for spec in session.inputs)


def _made_up(spec: TensorSpec, first: int, others: int) -> np.ndarray:
    """Floats between 0 and 1 that repeat for the same name and shape; ones, True and "a" for the other types."""
    shape = [dim if dim >= 0 else (others if axis else first) for axis, dim in enumerate(spec.shape)]
    if math.prod(shape) > MAX_PROBE_ELEMENTS:
        raise Refused("shape_bomb", f"input {spec.name!r} of shape {spec.shape} is larger than any call can send")
    dtype = np.dtype(np.float32 if spec.datatype == "BF16" else DTYPES[spec.datatype])
    if dtype.kind == "f":
        fractions = np.modf(np.arange(1, math.prod(shape) + 1) * GOLDEN_RATIO)[0]
        values = np.asarray(fractions.reshape(shape), dtype)
        return to_bfloat16(values) if spec.datatype == "BF16" else values
    return np.full(shape, "a" if dtype.kind == "O" else 1, dtype)


def _check_outputs(session: Session, outputs: list[np.ndarray], limits: Limits) -> None:
    total = sum(output.nbytes for output in outputs)
    if total > limits.output_bytes:
        raise Refused(
            "output_too_large",
            f"one call answers {total:,} bytes, more than the {limits.output_bytes:,} that a response can carry; "
            f"drop some of the outputs {[spec.name for spec in session.outputs][:10]}",
        )


def difference(expected: Any, actual: Any, rtol: float, atol: float) -> tuple[float, bool]:
    """The largest absolute difference, and whether all of it is tolerated. Text and integers must be equal."""
    if expected.shape != actual.shape:
        return float("inf"), False
    if expected.dtype == actual.dtype == BF16:
        expected, actual = widened(expected), widened(actual)
    if expected.dtype.kind != "f" and actual.dtype.kind != "f":
        same = bool(np.array_equal(expected, actual))
        return (0.0 if same else float("inf")), same
    if expected.size == 0:
        return 0.0, True
    with np.errstate(all="ignore"):
        wide, other = expected.astype(np.float64), actual.astype(np.float64)
        equal = (wide == other) | (np.isnan(wide) & np.isnan(other))
        gap = np.where(equal, 0.0, np.abs(wide - other))
        tolerated = equal | (gap <= atol + rtol * np.abs(wide))
    largest = float(np.nan_to_num(gap, nan=np.inf).max())
    return largest, bool(tolerated.all())
