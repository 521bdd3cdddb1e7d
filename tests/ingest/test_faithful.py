"""A quantized model has to answer its own arithmetic; golden set and runtime are compared with that."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper, numpy_helper

from shared.ingest import faithful
from shared.ingest.faithful import FloatModel
from shared.ingest.verdict import Limits, Refused
from shared.runtime import onnx, processor, samples
from tests.ingest import corpus
from tests.ingest.conftest import Gate
from tests.ingest.quantized import FORMS, WEIGHTS, A, exact
from tests.ingest.test_golden import npz
from tests.support import linear


def cut_off(weights: np.ndarray) -> np.ndarray:
    """The sums of a kernel that adds pairs of products in 16 bits, as those for AVX2 without VNNI do."""
    products = A.astype(np.int64)[:, :, None] * weights.astype(np.int64)[None]
    pairs = np.clip(products[:, ::2] + products[:, 1::2], -(2**15), 2**15 - 1)
    return np.asarray(pairs.sum(axis=1), np.int32)


def test_a_golden_set_that_only_one_kind_of_processor_meets(gate: Gate) -> None:
    source = FORMS["matmul_integer"]().model.SerializeToString()
    assert not np.array_equal(cut_off(WEIGHTS), exact(WEIGHTS))
    verdict = gate(source, **{"golden.npz": npz(input__a=A, output__y=cut_off(WEIGHTS))})
    assert (verdict.accepted, verdict.code) == (False, "golden_mismatch")
    assert "cuts off 8-bit sums" in verdict.reason and "ORT_DISABLE_ALL" in verdict.reason
    right = gate(source, **{"golden.npz": npz(input__a=A, output__y=exact(WEIGHTS).astype(np.int32))})
    assert right.accepted, right.reason


def test_a_runtime_that_answers_something_else_is_refused() -> None:
    session = onnx.load(linear([[1.0, 2.0]]))
    inputs = [{"x": np.ones((2, 1), np.float32)}]
    with pytest.raises(Refused, match="away from what its own quantized numbers") as refused:
        faithful.compare(FloatModel(linear([[1.0, 2.1]])), session, inputs, Limits())
    assert refused.value.code == "unfaithful"
    assert faithful.compare(FloatModel(linear([[1.0, 2.001]])), session, inputs, Limits())["compared"] == 1
    assert faithful.compare(FloatModel(), session, inputs, Limits())["compared"] == 0


def test_the_verdict_names_its_processor_and_has_samples(gate: Gate) -> None:
    verdict = gate(linear([[1.0, 2.0]]), **{"golden.npz": npz(input__x=np.ones((99, 1)), output__y=np.ones((99, 2)))})
    assert verdict.code == "golden_mismatch"
    values = np.arange(99, dtype=np.float32)[:, None]
    outputs = values @ np.array([[1.0, 2.0]], np.float32)
    verdict = gate(linear([[1.0, 2.0]]), **{"golden.npz": npz(input__x=values, output__y=outputs)})
    assert verdict.runtime["processor"] == {"kind": processor.kind(), "features": processor.features()}
    assert verdict.samples is not None
    chosen = samples.decode(verdict.samples)
    assert [sample.tolerance for sample in chosen] == [(1e-3, 1e-4), None, None, None]
    assert chosen[0].inputs["x"].shape == [faithful.ROWS, 1]
    assert samples.replay(onnx.load(linear([[1.0, 2.0]])), chosen, 1.0) is None
    assert "golden set" in (samples.replay(onnx.load(linear([[1.0, 2.1]])), chosen, 1.0) or "")


def test_a_model_that_never_runs_is_at_fault_itself(gate: Gate) -> None:
    nodes = [helper.make_node("Compress", ["s", "k"], ["t"]), helper.make_node("Reshape", ["x", "t"], ["y"])]
    constants = [corpus.ints("s", [3, 5]), numpy_helper.from_array(np.array([True, True]), "k")]
    source = corpus.model(nodes, [corpus.value("x", ["N", 8])], [corpus.value("y", None)], constants)
    verdict = gate(source)
    assert verdict.accepted, verdict.reason  # of 15 elements there may be rows enough
    source = corpus.model(nodes, [corpus.value("x", [1, 8])], [corpus.value("y", None)], constants)
    verdict = gate(source)
    assert (verdict.accepted, verdict.code) == (False, "never_runs"), verdict.reason
    assert "Reshape" in verdict.reason and "golden set" in verdict.reason


def test_texts_numbers_and_grids_have_their_own_measure() -> None:
    words, others = np.array(["a", "b"], object), np.array(["a", "c"], object)
    assert samples.noise([words], [others]) == 0.5
    scores, classes = np.array([0.5, 0.25], np.float32), np.array([1, 0])
    assert samples.noise([scores, classes], [scores, 1 - classes]) == 0.0  # scores count, where there are some
    assert samples.noise([classes], [1 - classes]) == 1.0
    grid = np.arange(8, dtype=np.float32) * 0.25
    assert samples.noise([grid], [grid + 0.25 * (np.arange(8) == 3)]) == 0.0  # rounded the other way
    assert samples.noise([grid], [grid + 0.5 * (np.arange(8) == 3)]) > 0.1
    assert samples.noise([scores], [scores[:1]]) == samples.noise([scores], [scores * np.nan]) == np.inf
