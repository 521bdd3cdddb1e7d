"""Small quantized graphs whose sums leave 16 bits, in forms that exporters write, with the answers they must give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from onnx import TensorProto, helper, numpy_helper

ROWS, DEEP, WIDE = 4, 64, 8
RANDOM = np.random.default_rng(7)
# large, and of one sign within a column, so that neighbors add up
WEIGHTS = (RANDOM.integers(90, 128, (DEEP, WIDE)) * np.where(np.arange(WIDE) % 2, 1, -1)).astype(np.int8)
SMALL = (WEIGHTS // 2).astype(np.int8)
SCALES = np.linspace(0.001, 0.004, WIDE).astype(np.float32)
X = (RANDOM.random((ROWS, DEEP)) * 250 / 255).astype(np.float32)
A = np.rint(X * 255).astype(np.uint8)  # X with scale 1 / 255


class Form(NamedTuple):
    """changed: how many operators have to be rewritten."""

    model: Any
    feeds: dict[str, np.ndarray]
    expected: np.ndarray
    changed: int


FORMS: dict[str, Callable[[], Form]] = {}


def form(build: Callable[[], Form]) -> Callable[[], Form]:
    FORMS[build.__name__] = build
    return build


def model(
    nodes: list[Any], feeds: dict[str, np.ndarray], constants: dict[str, Any], opset: int = 21, **more: Any
) -> Any:
    """A model of these nodes whose output is y. The first input may have any number of rows."""
    inputs = [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(array.dtype), [len(array) if index else "N", *array.shape[1:]]
        )
        for index, (name, array) in enumerate(feeds.items())
    ]
    outputs = [helper.make_tensor_value_info("y", more.pop("element", TensorProto.FLOAT), None)]
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "g", inputs, outputs, tensors)
    domains = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=domains + more.pop("imports", []), ir_version=10, **more)


def exact(weights: np.ndarray) -> np.ndarray:
    return np.asarray(A.astype(np.int64) @ weights.astype(np.int64))


def qdq(weights: dict[str, Any], constants: dict[str, Any], *, signed: bool = False) -> Any:
    """x → Q → DQ → MatMul(DQ(w)) → Q → DQ → y, as static quantizers write it. weights: attributes of the second DQ."""
    inputs = [name for name in ("w", "ws", "wz") if name in constants]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "xs", "xz"], ["xd"]),
        helper.make_node("DequantizeLinear", inputs, ["wd"], **weights),
        helper.make_node("MatMul", ["xd", "wd"], ["m"]),
        helper.make_node("QuantizeLinear", ["m", "ys", "yz"], ["yq"]),
        helper.make_node("DequantizeLinear", ["yq", "ys", "yz"], ["y"]),
    ]
    zero = np.array(-128, np.int8) if signed else np.array(0, np.uint8)
    step = {"xs": np.float32(1 / 255), "xz": zero, "ys": np.float32(0.25), "yz": np.array(0, np.int8)}
    return model(nodes, {"x": X}, constants | step, opset=21)


def static(weights: np.ndarray, scales: Any) -> np.ndarray:
    real = exact(weights) / 255 * scales
    return np.asarray(np.clip(np.rint(real / 0.25), -128, 127) * 0.25)


@form
def matmul_integer() -> Form:
    nodes = [helper.make_node("MatMulInteger", ["a", "w"], ["y"])]
    built = model(nodes, {"a": A}, {"w": WEIGHTS}, element=TensorProto.INT32)
    return Form(built, {"a": A}, exact(WEIGHTS), 1)


@form
def matmul_integer_of_seven_bits() -> Form:
    nodes = [helper.make_node("MatMulInteger", ["a", "w"], ["y"])]
    built = model(nodes, {"a": A}, {"w": SMALL}, element=TensorProto.INT32)
    return Form(built, {"a": A}, exact(SMALL), 0)


@form
def matmul_integer_of_signed_activations() -> Form:
    signed = (A.astype(int) - 128).astype(np.int8)
    nodes = [helper.make_node("MatMulInteger", ["a", "w"], ["y"])]
    built = model(nodes, {"a": signed}, {"w": WEIGHTS}, element=TensorProto.INT32)
    return Form(built, {"a": signed}, signed.astype(int) @ WEIGHTS.astype(int), 0)


@form
def matmul_integer_with_weights_as_an_input() -> Form:
    nodes = [helper.make_node("MatMulInteger", ["a", "b"], ["y"])]
    built = model(nodes, {"a": A, "b": WEIGHTS}, {}, element=TensorProto.INT32)
    return Form(built, {"a": A, "b": WEIGHTS}, exact(WEIGHTS), 1)


@form
def matmul_integer_in_a_branch() -> Form:
    inner = [helper.make_node("MatMulInteger", ["a", "w"], ["t"])]
    value = helper.make_tensor_value_info("t", TensorProto.INT32, None)
    other = helper.make_graph([helper.make_node("MatMulInteger", ["a", "v"], ["t"])], "e", [], [value])
    branch = helper.make_graph(inner, "t", [], [value])
    nodes = [helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=other)]
    built = model(nodes, {"a": A}, {"w": WEIGHTS, "v": SMALL, "c": True}, element=TensorProto.INT32)
    return Form(built, {"a": A}, exact(WEIGHTS), 1)


@form
def dynamic_in_a_function() -> Form:
    body = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        helper.make_node("MatMulInteger", ["q", "w", "z"], ["i"]),
        helper.make_node("Cast", ["i"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["f", "s"], ["y"]),
    ]
    function = helper.make_function("own", "Linear", ["x", "w"], ["y"], body, [helper.make_opsetid("", 21)])
    nodes = [helper.make_node("Linear", ["x", "w"], ["y"], domain="own")]
    built = model(nodes, {"x": X}, {"w": WEIGHTS}, functions=[function], imports=[helper.make_opsetid("own", 1)])
    scale = X.max() / 255
    return Form(built, {"x": X}, np.rint(X / scale) @ WEIGHTS.astype(float) * scale, 1)


@form
def qdq_per_channel_without_zero_point() -> Form:
    built = qdq({"axis": 1}, {"w": WEIGHTS, "ws": SCALES})
    return Form(built, {"x": X}, static(WEIGHTS, SCALES), 1)


@form
def qdq_per_block() -> Form:
    scales = np.repeat(SCALES[None], 4, axis=0)
    built = qdq({"axis": 0, "block_size": 16}, {"w": WEIGHTS, "ws": scales, "wz": np.full((4, WIDE), 3, np.int8)})
    return Form(built, {"x": X}, static(WEIGHTS.astype(int) - 3, SCALES), 1)


@form
def qdq_of_signed_activations() -> Form:
    built = qdq({}, {"w": WEIGHTS, "ws": np.float32(0.004), "wz": np.array(0, np.int8)}, signed=True)
    return Form(built, {"x": X}, static(WEIGHTS, 0.004), 1)


@form
def weights_alone() -> Form:
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "ws"], ["wd"], axis=1),
        helper.make_node("MatMul", ["x", "wd"], ["y"]),
    ]
    built = model(nodes, {"x": X}, {"w": WEIGHTS, "ws": SCALES})
    return Form(built, {"x": X}, X.astype(float) @ (WEIGHTS * SCALES.astype(float)), 0)


@form
def a_table_that_is_tied() -> Form:
    """Rows are looked up in the very table that the result is multiplied with."""
    index = np.array([[1], [5], [9], [60]], np.int64)
    nodes = [
        helper.make_node("Gather", ["w", "i"], ["rows"]),
        helper.make_node("DequantizeLinear", ["rows", "ws"], ["rd"]),
        helper.make_node("ReduceMean", ["rd", "axes"], ["bias"], keepdims=0),
        helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "xs", "xz"], ["xd"]),
        helper.make_node("DequantizeLinear", ["w", "ws"], ["wd"]),
        helper.make_node("MatMul", ["xd", "wd"], ["m"]),
        helper.make_node("Add", ["m", "bias"], ["y"]),
    ]
    constants = {"w": WEIGHTS, "ws": np.float32(0.004), "xs": np.float32(1 / 255), "xz": np.uint8(0)}
    built = model(nodes, {"x": X, "i": index}, constants | {"axes": np.array([1])})
    bias = WEIGHTS[index[:, 0]] * 0.004
    return Form(built, {"x": X, "i": index}, exact(WEIGHTS) / 255 * 0.004 + bias, 1)
