"""Whether a model answers as its own arithmetic says, and the samples that will show it on other processors.

Two sessions with the same fusions would agree on the same wrong sums, so quantised models are held against `reference`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from shared.errors import AmaasError
from shared.ingest import golden, probe, reference
from shared.ingest.golden import Case
from shared.ingest.verdict import Limits, Refused
from shared.runtime import onnx, samples
from shared.runtime.samples import Sample

LARGEST = 128 << 20  # bytes of a model of which there is room for a second copy in floats
ROWS = 8  # of a golden set that are kept
MOST_KEPT = 4 << 20  # bytes of all samples of a version
APPROXIMATE = 0.06  # noise of an operator that rounds its activations in each step, which the reference does not


class Floats(Struct, frozen=True):
    """The reference as a model, or why there is none. approximate: it leaves out roundings that the operators make."""

    model: bytes | None = None
    why: str = "nothing in it is quantised"
    approximate: bool = False


def floats(model: Any, size: int) -> Floats:
    """The model's arithmetic in floats. size: of the model in bytes."""
    if not reference.is_quantised(model):
        return Floats()
    if size > LARGEST:
        return Floats(why=f"the model has more than {LARGEST:,} bytes, and there is no room for a second one in floats")
    try:
        copy = reference.in_floats(model)
    except reference.NoReference as error:
        return Floats(why=str(error))
    return Floats(copy.SerializeToString(), "", any(n.op_type == "DynamicQuantizeLSTM" for n in model.graph.node))


def compare(source: Floats, session: onnx.Session, inputs: Sequence[probe.Feeds], limits: Limits) -> dict[str, Any]:
    """How far the session is from the reference. Raises Refused when that is more than roundings explain."""
    if source.model is None:
        return {"compared": 0, "why": source.why}
    try:
        exact = onnx.load(source.model, optimize="off")
        pairs: list[tuple[list[np.ndarray], list[np.ndarray]]] = []
        for feeds in inputs:
            if pairs and time.process_time() > limits.cpu / 3:
                break
            pairs.append((exact.run(None, feeds), session.run(None, feeds)))
    except (MemoryError, onnx.OutOfMemory):
        return {"compared": 0, "why": "the memory of the check does not suffice for the model in floats"}
    except AmaasError as error:
        return {"compared": 0, "why": f"the model in floats does not run: {error}"[:300]}
    apart = max((samples.noise(expected, actual) for expected, actual in pairs), default=0.0)
    if apart > (APPROXIMATE if source.approximate else samples.NOISE):
        raise Refused(
            "unfaithful",
            f"run by ONNX Runtime {onnx.VERSION} the model's outputs are {apart:.1%} away from what its own quantised "
            "numbers add up to: a fault of the runtime's kernels or optimiser on this form of model; quantise it in "
            "another form (QDQ with 7-bit weights, `reduce_range`, is right everywhere), or upload it in floats",
        )
    return {"compared": len(pairs), "noise": apart}


def keep(
    session: onnx.Session, cases: Sequence[Case], inputs: Sequence[probe.Feeds], tolerance: tuple[float, float]
) -> list[Sample]:
    """Samples of what this session answers, rows of the golden set first: as many as fit, one at least if it does.

    inputs: made-up ones. tolerance: rtol and atol of the golden set.
    """
    chosen = [_of_golden(session, case, tolerance) for case in cases]
    for feeds in inputs:
        chosen.append(_sample(feeds, dict(zip(_names(session), session.run(None, feeds), strict=True)), None))
    kept: list[Sample] = []
    for sample in chosen:
        if sum(other.size for other in kept) + sample.size <= MOST_KEPT:
            kept.append(sample)
    return kept


def _of_golden(session: onnx.Session, case: Case, tolerance: tuple[float, float]) -> Sample:
    """With the golden set's own numbers where these rows alone give them, which dynamic quantisation need not."""
    names = list(case.outputs)
    answers = dict(zip(names, session.run(names, case.inputs), strict=True))
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


def rows(
    session: onnx.Session, files: Mapping[str, int], declared: Mapping[str, Any] | None, limits: Limits
) -> list[Case]:
    """The first rows of the golden set, of each of its cases. Raises Refused as `golden.replay` does."""
    return [golden.first_rows(session, case, ROWS) for case in golden.cases(session, files, declared, limits)][:ROWS]
