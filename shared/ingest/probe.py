"""Running a model once, on made-up inputs; and who is at fault where it runs on none."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from shared.errors import BadInput
from shared.ingest.verdict import Limits, Refused
from shared.runtime import onnx
from shared.runtime.arrays import COMPUTED, to_stored
from shared.runtime.datatypes import DATATYPES, Datatype
from shared.runtime.onnx import Session, TensorSpec

Feeds = dict[str, np.ndarray]

# What stands for -1: (first dimension, the others). Small first; convolutions and pooling need some room.
SIZES = ((1, 1), (1, 8), (1, 64), (2, 2), (1, 224))
MAX_PROBE_ELEMENTS = 32_000_000
GOLDEN_RATIO = 0.6180339887498949  # its multiples' fractions are spread evenly, and no random generator is imported


def probe(session: Session, limits: Limits) -> tuple[Feeds, list[np.ndarray]] | None:
    """Inputs that the model runs on, and its outputs; None when none of the made-up ones will do.

    Raises Refused when the outputs are larger than a call can answer, OutOfMemory when they do not even fit here.
    """
    for feeds in _inputs(session):
        try:
            outputs = session.run(None, feeds)
        except BadInput:
            continue
        _check_outputs(session, outputs, limits)
        return feeds, outputs
    return None


def check_runs(session: Session, plain: Session) -> None:
    """Of a model that ran on nothing: raises Refused where no caller could do better.

    plain: the same model, loaded with no optimization. What runs there fails by the runtime's optimizer. What fails in
    the same words whatever its values and rows are, while all other sizes are fixed, fails by itself.
    """
    failed: set[str] = set()
    values = [feeds for tame in _inputs(plain) for feeds in (tame, *varied(plain, tame))]
    for feeds in values:
        try:
            plain.run(None, feeds)
        except BadInput as error:
            failed.add(str(error.__cause__))  # not shortened: shapes are told at its end
            continue
        raise Refused("optimizer_fault", _optimizer_fault(session, feeds))
    if len(values) > 1 and len(failed) == 1 and _only_rows_vary(plain):
        raise Refused(
            "never_runs",
            f"the model fails whatever it is fed, also without the runtime's optimizations: {failed.pop()[:400]}; mend "
            "it and export it again, or add a golden set with inputs on which it runs",
        )


def _only_rows_vary(session: Session) -> bool:
    """Whether no size is left to guess but a number of rows: of several inputs, each may want another."""
    free = [dim for spec in session.inputs for dim in spec.shape if dim == -1]
    return not free or (len(session.inputs) == 1 and -1 not in session.inputs[0].shape[1:])


def _optimizer_fault(session: Session, feeds: Feeds) -> str:
    try:
        session.run(None, feeds)
    except BadInput as error:
        return (
            f"the model runs as it is, and not as ONNX Runtime {onnx.VERSION} optimizes it: {error}; the runtime is at "
            "fault. Export the model in another form, of a quantized one with zero points written out, or in floats"
        )
    raise AssertionError("it ran")  # it did not a moment ago


def varied(session: Session, tame: Feeds) -> list[Feeds]:
    """The same shapes with other values: floats of either sign, small and large; 8-bit numbers over all their range."""
    datatypes = {spec.name: DATATYPES[spec.datatype] for spec in (*session.inputs, *session.optional)}
    if not any(_is_varied(datatype) for datatype in datatypes.values()):
        return []
    return [{name: _other(array, datatypes[name], scale) for name, array in tame.items()} for scale in (2.0, 16.0)]


def _is_varied(datatype: Datatype) -> bool:
    return datatype.kind == "float" or (datatype.kind in ("int", "uint") and datatype.size == 1)


def _other(array: np.ndarray, datatype: Datatype, scale: float) -> np.ndarray:
    fractions = np.asarray(np.modf(np.arange(1, array.size + 1) * GOLDEN_RATIO * 7 + scale)[0]).reshape(array.shape)
    if datatype.kind == "float":
        return to_stored(np.asarray((fractions - 0.5) * scale, COMPUTED[datatype.name]), datatype.name)
    if _is_varied(datatype):
        lowest = -128 if datatype.kind == "int" else 0
        return np.asarray(np.floor(fractions * 256) + lowest, array.dtype)
    return array


def _inputs(session: Session) -> Iterator[Feeds]:
    for sizes in dict.fromkeys(SIZES if _varies(session) else SIZES[:1]):
        yield {spec.name: _made_up(spec, *sizes) for spec in session.inputs}


def _varies(session: Session) -> bool:
    return any(-1 in spec.shape for spec in session.inputs)


def _made_up(spec: TensorSpec, first: int, others: int) -> np.ndarray:
    """Floats between 0 and 1 that repeat for the same name and shape; ones, True and "a" for the other types."""
    shape = [dim if dim >= 0 else (others if axis else first) for axis, dim in enumerate(spec.shape)]
    if math.prod(shape) > MAX_PROBE_ELEMENTS:
        raise Refused("shape_bomb", f"input {spec.name!r} of shape {spec.shape} is larger than any call can send")
    dtype = COMPUTED[spec.datatype]
    if dtype.kind == "f":
        fractions = np.modf(np.arange(1, math.prod(shape) + 1) * GOLDEN_RATIO)[0]
        return to_stored(np.asarray(fractions.reshape(shape), dtype), spec.datatype)
    return np.full(shape, "a" if dtype.kind == "O" else 1, dtype)


def _check_outputs(session: Session, outputs: list[np.ndarray], limits: Limits) -> None:
    total = sum(output.nbytes for output in outputs)
    if total > limits.output_bytes:
        raise Refused(
            "output_too_large",
            f"one call answers {total:,} bytes, more than the {limits.output_bytes:,} that a response can carry; "
            f"drop some of the outputs {[spec.name for spec in session.outputs][:10]}",
        )
