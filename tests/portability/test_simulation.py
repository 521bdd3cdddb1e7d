"""The simulation against numbers worked out by hand, and against onnx's own reference."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from tests.portability import corpus
from tests.portability.corpus import arithmetic, contrib
from tests.portability.corpus.graphs import Graph, activations, weights
from tests.portability.corpus.simulation import OPERATORS, simulate

NODE = arithmetic.Context(21, {})
# What onnx's reference implements by itself: DequantizeLinear from version 19 on, and no operator of another domain.
REFERENCE = [
    case
    for case in corpus.cases()
    if case.name.startswith(("QLinearMatMul", "MatMulInteger ", "QDQ MatMul 2", "QDQ Conv 2", "weights u8 per block"))
    and "after QLinear" not in case.name
    and "domain" not in case.name
]


def test_two_products_that_pass_16_bits_are_summed_exactly() -> None:
    a, b = np.array([[255, 255]], np.uint8), np.array([[127], [127]], np.int8)
    assert arithmetic.matmul_integer(NODE, a, b).tolist() == [[64770]]


def test_halves_are_rounded_to_even_and_ends_are_kept() -> None:
    x = np.array([-1.5, -0.5, 0.5, 1.5, 2.5, 999.0], np.float32)
    zero = np.array(0, np.int8)
    assert arithmetic.quantize_linear(NODE, x, np.float32(1), zero).tolist() == [-2, 0, 0, 2, 2, 127]


def test_a_scale_per_block_is_repeated_along_its_axis() -> None:
    node = arithmetic.Context(21, {"axis": 0, "block_size": 2})
    x = np.ones((3, 1), np.int8)
    scale = np.array([[2.0], [5.0]], np.float32)
    assert arithmetic.dequantize_linear(node, x, scale).tolist() == [[2.0], [2.0], [5.0]]


def test_numbers_of_4_bits_come_out_the_low_one_first() -> None:
    assert contrib.unpacked(np.array([[0x21, 0x43]], np.uint8), 4, 3).tolist() == [[1, 2, 3]]


@pytest.mark.parametrize("case", REFERENCE, ids=lambda case: case.name)
def test_the_standard_s_own_reference_agrees(case) -> None:
    model = onnx.load_from_string(case.model)
    expected = ReferenceEvaluator(model).run(None, case.feeds)
    for ours, theirs in zip(simulate(model, case.feeds), expected, strict=True):
        assert ours.shape == theirs.shape
        gap = np.abs(ours.astype(np.float64) - theirs.astype(np.float64))
        assert gap.max() <= case.step * 1.01 + 1e-4 * np.abs(ours).max()
        assert (gap > max(case.step / 2, 1e-4 * np.abs(ours).max())).mean() <= 0.05


def test_a_convolution_with_groups_strides_and_pads_is_the_sum_over_its_window() -> None:
    random = np.random.default_rng(0)
    x, w = random.integers(-9, 9, (1, 4, 5, 5)), random.integers(-9, 9, (6, 2, 3, 3))
    node = arithmetic.Context(13, {"group": 2, "strides": [2, 1], "pads": [1, 0, 1, 0]})
    y = arithmetic.convolved(node, x, w)
    padded = np.pad(x, [(0, 0), (0, 0), (1, 1), (0, 0)])
    by_hand = [
        [[(padded[0, 2 * (m // 3) : 2 * (m // 3) + 2, 2 * r : 2 * r + 3, c : c + 3] * w[m]).sum() for c in range(3)]
         for r in range(3)]
        for m in range(6)
    ]  # fmt: skip
    assert y.tolist() == [by_hand]


def test_an_operator_without_a_simulation_is_an_error() -> None:
    node = helper.make_node("Nowhere", ["x"], ["y"], domain="com.microsoft")
    entries = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(helper.make_graph([node], "g", entries[:1], entries[1:]), opset_imports=opsets)
    with pytest.raises(NotImplementedError, match="Nowhere"):
        simulate(model, {"x": np.zeros(1, np.float32)})


@pytest.mark.parametrize("kind", ["s8", "u8"])
def test_a_weight_means_the_same_signed_and_unsigned(kind: str) -> None:
    values, g = weights(np.random.default_rng(0), 16, 4), Graph("g", 13)
    g.weight(values, kind, 3, (4,))
    stored, zero = (onnx.numpy_helper.to_array(tensor).astype(int) for tensor in g.tensors)
    assert np.array_equal(stored - zero, values.astype(int) - 3)


def test_weights_and_activations_pass_16_bits_in_pairs() -> None:
    random = np.random.default_rng(0)
    w, a = weights(random, 64, 16).astype(np.int64), activations(random, "u8", 4, 64).astype(np.int64)
    pairs = a[:, 0::2, None] * w[0::2] + a[:, 1::2, None] * w[1::2]
    assert (np.abs(pairs) > 32767).mean() > 0.9


def test_every_quantized_operator_of_the_corpus_is_simulated_here() -> None:
    """And not by the fallback: it is somebody else's, and rounds where it likes."""
    kinds = {
        ("" if node.domain == "ai.onnx" else node.domain, node.op_type)
        for case in corpus.cases()
        for node in _nodes(onnx.load_from_string(case.model))
    }
    quantized = {kind for kind in kinds if kind[0] == "com.microsoft" or "Linear" in kind[1] or "Integer" in kind[1]}
    assert len(quantized) >= 20
    assert quantized <= OPERATORS.keys()


def _nodes(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    nodes = list(model.graph.node) + [node for function in model.functions for node in function.node]
    for node in nodes:
        nodes += [inner for entry in node.attribute for inner in entry.g.node]
    return nodes


def test_a_graph_takes_constants_as_nodes_or_as_initializers() -> None:
    for as_nodes in (False, True):
        g = Graph("g", 21, constants_as_nodes=as_nodes)
        g.output(g.node("Add", [g.input(np.float32([1, 2])), g.constant([3, 4])]), TensorProto.FLOAT, 1)
        assert simulate(g.model(), g.feeds)[0].tolist() == [4, 6]
        assert bool(g.tensors) != as_nodes
