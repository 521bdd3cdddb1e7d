"""Quantized graphs are rewritten into a form whose sums no kernel cuts off, and only where that is needed."""

from __future__ import annotations

import re

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper

from shared.ingest import portable, quantized, reference
from shared.runtime import onnx, processor
from tests.ingest.conftest import Gate
from tests.ingest.quantized import FORMS, SMALL, WEIGHTS, X, model, qdq


def saturating(graph: ModelProto) -> list[str]:
    """Operators that would still multiply UINT8 with INT8 of more than 7 bits, recognized without `portable`."""
    operators = []
    for scope in quantized.scopes(graph):
        for node in scope.body.node:
            name = node.input[0] if node.op_type == "DequantizeLinear" else (*node.input, "")[1]
            tensor = scope.tensor(name)
            wide = tensor is not None and tensor.data_type == TensorProto.INT8 and quantized.may_saturate(tensor)
            if wide and node.op_type in ("DequantizeLinear", "MatMulInteger"):
                operators.append(node.op_type)
    return operators


@pytest.mark.parametrize("name", sorted(FORMS))
def test_the_rewritten_model_computes_the_same(name: str) -> None:
    form = FORMS[name]()
    notes = portable.rewrite(form.model)
    assert sum(int(re.match(r"\d+", note)[0]) for note in notes if "integer operators" in note) == form.changed
    assert portable.rewrite(form.model) == []  # once is enough
    if form.changed:
        assert saturating(form.model) == []
    actual = onnx.load(form.model.SerializeToString()).run(None, form.feeds)[0]
    np.testing.assert_allclose(actual, form.expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", sorted(set(FORMS) - {"dynamic_in_a_function"}))
def test_the_reference_computes_the_same(name: str) -> None:
    form = FORMS[name]()
    exact = onnx.load(reference.in_floats(form.model).SerializeToString(), optimize="off")
    np.testing.assert_allclose(exact.run(None, form.feeds)[0], form.expected, rtol=1e-5, atol=1e-5)


def test_a_tied_table_is_stored_once() -> None:
    built = FORMS["a_table_that_is_tied"]().model
    portable.rewrite(built)
    tables = [tensor for tensor in built.graph.initializer if list(tensor.dims) == list(WEIGHTS.shape)]
    assert [tensor.data_type for tensor in tables] == [TensorProto.UINT8]


def test_pairs_of_weights_decide() -> None:
    one = SMALL.copy()
    one[3, 3] = 127  # beside weights of at most 63: a pair adds up to less than 255 * 128 * 2, and still too much
    for weights, changed in ((SMALL, False), (one, True), (np.clip(WEIGHTS, -64, 64), False)):
        built = qdq({}, {"w": weights, "ws": np.float32(0.004)})
        assert bool(portable.rewrite(built)) == changed


def test_eight_bit_activations_of_weight_only_operators_are_switched_off() -> None:
    inputs = {"w": np.zeros((8, 2, 16), np.uint8), "s": np.ones(16, np.float32)}
    attributes = {"K": 64, "N": 8, "bits": 4, "block_size": 32}
    for level, changed in ((0, []), (1, []), (4, [1])):
        node = helper.make_node(
            "MatMulNBits", ["x", "w", "s"], ["y"], domain="com.microsoft", accuracy_level=level, **attributes
        )
        notes = portable.rewrite(model([node], {"x": X}, inputs))
        assert [int(note[0]) for note in notes] == changed


@pytest.mark.parametrize("name", sorted(FORMS))
def test_the_gate_accepts_it_and_lists_the_changes(gate: Gate, name: str) -> None:
    form = FORMS[name]()
    source = form.model.SerializeToString()
    verdict = gate(source)
    assert verdict.accepted, verdict.reason
    assert verdict.probe == "ran"
    assert verdict.reference["compared"] >= 1 or name == "dynamic_in_a_function", verdict.reference
    assert verdict.reference.get("noise", 0) < 0.01
    steps = verdict.optimization["normalized"]
    assert any("integer operators" in step for step in steps) == bool(form.changed)
    assert (verdict.wide is not None) == bool(form.changed)
    if verdict.wide and not processor.cuts_off_sums():
        weights = [
            one for one in ModelProto.FromString(verdict.wide).graph.initializer if one.data_type == TensorProto.INT8
        ]
        assert any(quantized.may_saturate(one) for one in weights) or "branch" in name or "input" in name
        np.testing.assert_allclose(
            onnx.load(verdict.wide).run(None, form.feeds)[0],
            form.expected,
            rtol=1e-4,
            atol=0.26 if "qdq" in name else 1e-4,
        )
    actual = onnx.load(verdict.optimized or source).run(None, form.feeds)[0]
    np.testing.assert_allclose(actual, form.expected, rtol=1e-4, atol=0.26 if "qdq" in name else 1e-4)
