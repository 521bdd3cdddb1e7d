"""Matrices in blocks of 8 and 4 bits: what the kernels compute with is what was measured when they were quantized."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from training.language.blocks import Quantized, Shape, quantized, restored

SHAPES = [Shape(bits, block, zeros) for bits in (8, 4) for block in (16, 32) for zeros in (False, True)]
INPUTS, COLUMNS = 80, 24  # no whole number of blocks of 32
RANDOM = np.random.default_rng(1)
WEIGHTS = RANDOM.normal(0.01, 0.1, (INPUTS, COLUMNS)).astype(np.float32)


def whole(weights: np.ndarray, shape: Shape, importance: np.ndarray | None = None) -> Quantized:
    [part] = quantized(weights, shape, importance)
    return part


def kernel(part: Quantized, shape: Shape, values: np.ndarray) -> np.ndarray:
    """What ONNX Runtime multiplies: [rows, columns], with activations in floats."""
    given = [("levels", part.levels), ("scales", part.scales)]
    given += [] if part.zeros is None else [("zeros", part.zeros)]
    sizes = {"K": INPUTS, "N": COLUMNS, "bits": shape.bits, "block_size": shape.block, "accuracy_level": 1}
    node = helper.make_node("MatMulNBits", ["x", *(name for name, _ in given)], ["y"], domain="com.microsoft", **sizes)
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("x", "y"))
    tensors = [numpy_helper.from_array(np.ascontiguousarray(values), name) for name, values in given]
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(helper.make_graph([node], "g", [x], [y], tensors), opset_imports=opsets, ir_version=10)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    answer: np.ndarray = session.run(None, {"x": values})[0]
    return answer


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_kernels_read_what_was_written(shape: Shape) -> None:
    part, values = whole(WEIGHTS, shape), RANDOM.normal(0, 1, (3, INPUTS)).astype(np.float32)
    np.testing.assert_allclose(kernel(part, shape, values), values @ restored(part, shape, INPUTS), atol=1e-4)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_searched_scale_is_nearer_than_the_nearest_level(shape: Shape) -> None:
    error = np.abs(restored(whole(WEIGHTS, shape), shape, INPUTS) - WEIGHTS)
    step = (WEIGHTS.max() - WEIGHTS.min()) / (shape.levels - 1)
    assert np.sqrt((error**2).mean()) < step / 3
    plain = np.abs(WEIGHTS).max() / (shape.levels // 2 - 1)
    rounded = np.rint(WEIGHTS / plain) * plain
    assert (error**2).sum() < ((rounded - WEIGHTS) ** 2).sum()


def test_what_counts_more_is_nearer() -> None:
    importance = np.where(np.arange(INPUTS) % 8 == 0, 100.0, 1.0)
    plain, weighed = (
        np.abs(restored(whole(WEIGHTS, Shape(4, 32, True), counts), Shape(4, 32, True), INPUTS) - WEIGHTS)
        for counts in (None, importance)
    )
    rows = importance > 1
    assert (weighed[rows] ** 2).sum() < (plain[rows] ** 2).sum()


def test_zeros_stay_zeros_and_columns_come_in_parts() -> None:
    weights = np.zeros((32, 5000), np.float32)
    parts = list(quantized(weights, Shape(4, 32, True)))
    assert len(parts) > 1
    assert not np.concatenate([restored(part, Shape(4, 32, True), 32) for part in parts], axis=1).any()
