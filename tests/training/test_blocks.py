"""Weights alone in 8 bits: those of convolutions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import quantize_dynamic

from training import measure, package
from training.compress import blocks, convert
from training.served import served

ROWS = np.random.default_rng(1).normal(size=(16, 8, 12, 12)).astype(np.float32)


def network(opset: int = 18) -> onnx.ModelProto:
    """x [N, 8, 12, 12]: a convolution with its normalization, two that share their weights, one in groups, a small one.

    The channels' weights differ in size by a hundred, as after training.
    """
    random = np.random.default_rng(2)
    spread = np.logspace(-1, 1, 32).astype(np.float32).reshape(-1, 1, 1, 1)
    shapes = {"first": (32, 8, 3, 3), "shared": (32, 32, 3, 3), "grouped": (32, 8, 3, 3), "small": (2, 32, 1, 1)}
    tensors = {name: random.normal(0, 0.1, shape).astype(np.float32) for name, shape in shapes.items()}
    tensors["first"] *= spread
    tensors["shared"] *= spread.transpose(1, 0, 2, 3) ** -1
    tensors |= {f"norm{n}": np.abs(random.normal(1, 0.2, 32)).astype(np.float32) for n in range(4)}
    nodes = [
        helper.make_node("Conv", ["x", "first"], ["a"], pads=[1] * 4),
        helper.make_node("BatchNormalization", ["a", *(f"norm{n}" for n in range(4))], ["b"]),
        helper.make_node("Conv", ["b", "shared"], ["c"], pads=[1] * 4),
        helper.make_node("Relu", ["c"], ["d"]),
        helper.make_node("Conv", ["d", "shared"], ["e"], pads=[1] * 4),
        helper.make_node("Conv", ["e", "grouped"], ["f"], group=4),
        helper.make_node("Conv", ["f", "small"], ["y"]),
    ]
    puts = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *size])
        for name, size in (("x", (8, 12, 12)), ("y", (2, 10, 10)))
    ]
    weights = [numpy_helper.from_array(value, name) for name, value in tensors.items()]
    graph = helper.make_graph(nodes, "g", puts[:1], puts[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def answers(body: bytes, batch: int = 16) -> np.ndarray:
    return measure.outputs(served(body), {"x": ROWS}, batch)["y"]


def noise(before: np.ndarray, after: np.ndarray) -> float:
    return float(np.sqrt(((after - before) ** 2).mean() / (before**2).mean()))


def test_convolutions_are_a_quarter_and_nearer_than_onnx_runtimes_default(tmp_path: Path) -> None:
    model = network()
    onnx.save_model(model, tmp_path / "model.onnx")
    body, details = blocks.weight8(model)
    before = answers(package.serialized(model))
    quantize_dynamic(tmp_path / "model.onnx", tmp_path / "default.onnx")
    assert len(body) < 0.32 * (tmp_path / "model.onnx").stat().st_size
    assert noise(before, answers(body)) < 0.5 * noise(before, answers((tmp_path / "default.onnx").read_bytes()))
    assert details["quantized_nodes"] == 3  # what is shared is there once; the small one stays in float
    kinds = [node.op_type for node in onnx.load_from_string(body).graph.node]
    assert "BatchNormalization" not in kinds and kinds.count("Conv") == 5
    np.testing.assert_allclose(answers(body, 16), answers(body, 1), rtol=1e-4, atol=1e-4)


def test_a_channel_of_zeros_stays_zero() -> None:
    levels, scale = blocks._levels(np.array([[0.0, 0.0], [1.0, -2.0]], np.float32))
    np.testing.assert_array_equal(levels, [[0, 0], [64, -127]])
    np.testing.assert_allclose(levels * scale[:, None], [[0, 0], [1, -2]], atol=0.01)


def test_convolutions_before_scales_by_channel_are_left_alone() -> None:
    with pytest.raises(convert.NothingToDo, match="no Conv, MatMul"):
        blocks.weight8(network(opset=12))
