"""Whether a model answers what its own arithmetic says, and the samples that will show it on other processors.

Two sessions with the same fusions would agree on the same wrong sums: quantized models are compared with `reference`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from shared.errors import AmaasError, BadInput
from shared.ingest import golden, probe, reference
from shared.ingest.golden import Case
from shared.ingest.verdict import Limits, Refused
from shared.runtime import onnx, samples
from shared.runtime.arrays import computable
from shared.runtime.samples import Sample

LARGEST = 128 << 20  # bytes of a model: with it, a second copy in floats fits into the memory of the check
ROWS = 8  # of a golden set that become samples
MAX_SAMPLES = 4 << 20  # bytes of all samples of a version
APPROXIMATE_NOISE = 0.06  # of an operator that rounds its activations in each step, which the reference does not


class FloatModel(Struct, frozen=True):
    """The reference: the model's arithmetic in floats, or why there is none.

    approximate: it leaves out roundings that the operators make.
    """

    model: bytes | None = None
    why: str = "nothing in it is quantized"
    approximate: bool = False


def float_model(model: Any, size: int) -> FloatModel:
    """The reference of a parsed model. size: of the model in bytes."""
    if not reference.is_quantized(model):
        return FloatModel()
    if size > LARGEST:
        why = f"the model has more than {LARGEST:,} bytes: a second copy in floats does not fit into memory"
        return FloatModel(why=why)
    try:
        copy = reference.in_floats(model)
    except reference.NoReference as error:
        return FloatModel(why=str(error))
    return FloatModel(copy.SerializeToString(), "", any(n.op_type == "DynamicQuantizeLSTM" for n in model.graph.node))


def compare(exact: FloatModel, session: onnx.Session, inputs: Sequence[probe.Feeds], limits: Limits) -> dict[str, Any]:
    """How far the session's outputs are from the reference's: the verdict's `reference`.

    Raises Refused when that is more than roundings explain.
    """
    if exact.model is None:
        return {"compared": 0, "why": exact.why}
    try:
        plain = onnx.load(exact.model, optimize="off")
        pairs: list[tuple[list[np.ndarray], list[np.ndarray]]] = []
        for feeds in inputs:
            if pairs and time.process_time() > limits.cpu / 3:
                break
            if not _is_finite(feeds):  # quantized, NaN is no number in particular: the golden set says what is right
                continue
            pairs.append((plain.run(None, feeds), session.run(None, feeds)))
    except (MemoryError, onnx.OutOfMemory):
        return {"compared": 0, "why": "the model in floats does not fit into the memory of the check"}
    except AmaasError as error:
        return {"compared": 0, "why": f"the model in floats does not run: {error}"[:300]}
    noise = max((samples.noise(expected, actual) for expected, actual in pairs), default=0.0)
    if noise > (APPROXIMATE_NOISE if exact.approximate else samples.NOISE):
        raise Refused(
            "unfaithful",
            f"run by ONNX Runtime {onnx.VERSION} the model's outputs are {noise:.1%} away from what its own quantized "
            "numbers add up to: a fault of the runtime's kernels or optimizer on this form of model; quantize it in "
            "another form (QDQ with 7-bit weights, `reduce_range`, is right everywhere), or upload it in floats",
        )
    return {"compared": len(pairs), "noise": noise}


def _is_finite(feeds: probe.Feeds) -> bool:
    numbers = [computable(array) for array in feeds.values()]
    return all(array.dtype.kind != "f" or bool(np.isfinite(array).all()) for array in numbers)


def choose_samples(
    session: onnx.Session, cases: Sequence[Case], inputs: Sequence[probe.Feeds], tolerance: tuple[float, float]
) -> list[Sample]:
    """Samples of this session's answers, rows of the golden set first: as many as fit into MAX_SAMPLES.

    inputs: generated ones. tolerance: rtol and atol of the golden set.
    """
    candidates = [sample for case in cases if (sample := _golden_sample(session, case, tolerance))]
    for feeds in inputs:
        candidates.append(_sample(feeds, dict(zip(_names(session), session.run(None, feeds), strict=True)), None))
    chosen: list[Sample] = []
    for sample in candidates:
        if sum(other.size for other in chosen) + sample.size <= MAX_SAMPLES:
            chosen.append(sample)
    return chosen


def _golden_sample(session: onnx.Session, case: Case, tolerance: tuple[float, float]) -> Sample | None:
    """With the golden set's outputs, if these rows alone give them: dynamic quantization depends on the whole batch.

    None where the model takes the whole case only, though it does not say so.
    """
    names = list(case.outputs)
    try:
        answers = dict(zip(names, session.run(names, case.inputs), strict=True))
    except BadInput:
        return None
    if all(samples.difference(case.outputs[name], answers[name], *tolerance)[1] for name in names):
        return _sample(case.inputs, case.outputs, tolerance)
    return _sample(case.inputs, answers, None)


def _sample(
    feeds: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray], tolerance: tuple[float, float] | None
) -> Sample:
    return Sample(
        {name: samples.pack(array) for name, array in feeds.items()},
        {name: samples.pack(array) for name, array in outputs.items()},
        tolerance,
    )


def _names(session: onnx.Session) -> list[str]:
    return [spec.name for spec in session.outputs]


def golden_rows(
    session: onnx.Session, files: Mapping[str, int], declared: Mapping[str, Any] | None, limits: Limits
) -> list[Case]:
    """The first rows of each case of the golden set. Raises Refused as `golden.replay` does."""
    return [golden.first_rows(session, case, ROWS) for case in golden.cases(session, files, declared, limits)][:ROWS]
