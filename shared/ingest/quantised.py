"""Where a graph computes with 8-bit integers: the operators, their inputs by index, and what a name stands for.

Sources: the operators' definitions in the ONNX standard and in ONNX Runtime's ContribOperators.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from onnx import TensorProto, numpy_helper

from shared.ingest import graph

MICROSOFT = "com.microsoft"
INT8, UINT8 = TensorProto.INT8, TensorProto.UINT8


class Operand(NamedTuple):
    """An 8-bit factor of a product, by index of the node's inputs: the values, their zero point, their scale if any."""

    tensor: int
    zero: int
    scale: int | None = None


class Product(NamedTuple):
    """left: the activations, None where they are floats that the operator makes UINT8. right: the weights."""

    left: Operand | None
    right: tuple[Operand, ...]


# A product of two 8-bit tensors, which ONNX Runtime's kernels sum up in pairs of 16 bits on some processors.
PRODUCTS = {
    ("", "MatMulInteger"): Product(Operand(0, 2), (Operand(1, 3),)),
    ("", "ConvInteger"): Product(Operand(0, 2), (Operand(1, 3),)),
    ("", "QLinearMatMul"): Product(Operand(0, 2), (Operand(3, 5, 4),)),
    ("", "QLinearConv"): Product(Operand(0, 2), (Operand(3, 5, 4),)),
    (MICROSOFT, "QLinearConv"): Product(Operand(0, 2), (Operand(3, 5, 4),)),
    (MICROSOFT, "MatMulIntegerToFloat"): Product(Operand(0, 4), (Operand(1, 5, 3),)),
    (MICROSOFT, "DynamicQuantizeMatMul"): Product(None, (Operand(1, 3, 2),)),
    (MICROSOFT, "QGemm"): Product(Operand(0, 2), (Operand(3, 5, 4),)),
    (MICROSOFT, "QAttention"): Product(Operand(0, 6), (Operand(1, 7, 4),)),
    (MICROSOFT, "DynamicQuantizeLSTM"): Product(None, (Operand(1, 9, 8), Operand(2, 11, 10))),
}
# What ONNX Runtime makes such a product of where its inputs come from DequantizeLinear.
FUSED = frozenset({"MatMul", "Gemm", "Conv", "ConvTranspose", "FusedMatMul", "FusedGemm", "FusedConv"})
# They hand elements on as they are: index of the inputs that hold them; None = all.
MOVING: dict[str, int | None] = {
    "Identity": 0,
    "Reshape": 0,
    "Transpose": 0,
    "Squeeze": 0,
    "Unsqueeze": 0,
    "Flatten": 0,
    "Slice": 0,
    "Gather": 0,
    "Split": 0,
    "Expand": 0,
    "Tile": 0,
    "Concat": None,
}
# Where other operators have the zero point of what they give, and with it its type.
ZERO_POINTS = {
    "QLinearMatMul": 7,
    "QLinearConv": 7,
    "QGemm": 8,
    "QLinearAdd": 7,
    "QLinearMul": 7,
    "QLinearConcat": 1,
    "QLinearWhere": 8,
    "QLinearAveragePool": 4,
    "QLinearGlobalAveragePool": 4,
    "QLinearLeakyRelu": 4,
    "QLinearReduceMean": 4,
    "QLinearSigmoid": 4,
    "QLinearSoftmax": 4,
}
# Past these ONNX Runtime looks for DequantizeLinear before an operator.
PASSING = frozenset(MOVING) | {"Relu", "Clip", "MaxPool", "Dropout", "LeakyRelu", "Resize"}
LONGEST = 64  # chain of operators that is followed: longer ones nobody writes
QUANTISES = frozenset({"QuantizeLinear", "DequantizeLinear"})


class Scope:
    """One graph, and the graphs around it, whose names it sees."""

    def __init__(self, body: Any, outer: Scope | None = None) -> None:
        self.body, self.outer = body, outer
        fed = {value.name for value in body.input}
        # what is listed as an input can be another value at each call
        self.tensors = {tensor.name: tensor for tensor in body.initializer if tensor.name not in fed}
        self.fed = {value.name: _element(value) for value in (*body.input, *body.value_info)}
        self.producers = {name: node for node in body.node for name in node.output if name}
        values = [
            (node.output[0], entry) for node in body.node if node.op_type == "Constant" for entry in node.attribute
        ]
        self.tensors |= {name: entry.t for name, entry in values if entry.name == "value"}

    def home(self, name: str) -> Scope | None:
        """The scope in which the name is made."""
        if name in self.tensors or name in self.producers or name in {value.name for value in self.body.input}:
            return self
        return self.outer.home(name) if self.outer else None

    def tensor(self, name: str) -> Any:
        """The constant of that name, or None."""
        home = self.home(name)
        return home.tensors.get(name) if home else None

    def producer(self, name: str) -> Any:
        """The node that gives the name, or None for an input or a constant."""
        home = self.home(name)
        return home.producers.get(name) if home and name not in home.tensors else None

    def element(self, name: str) -> int | None:
        """The element type (TensorProto) of what has the name; None where the graph does not tell."""
        home = self.home(name)
        if not name or home is None:
            return None
        if name in home.tensors:
            return int(home.tensors[name].data_type)
        if home.fed.get(name):
            return home.fed[name]
        node = home.producers.get(name)
        return home._given(node, name) if node is not None else None

    def _given(self, node: Any, name: str) -> int | None:
        kind = node.op_type
        if kind == "DynamicQuantizeLinear":
            return TensorProto.FLOAT if name == node.output[1] else UINT8
        if kind == "QuantizeLinear":
            declared = attribute(node, "output_dtype", 0)
            return self.element(node.input[2]) if len(node.input) > 2 and node.input[2] else declared or UINT8
        if kind == "Cast":
            return int(attribute(node, "to", 0)) or None
        if kind in PASSING and node.input:
            return self.element(node.input[0])
        if kind in ZERO_POINTS and ZERO_POINTS[kind] < len(node.input):
            return self.element(node.input[ZERO_POINTS[kind]])
        return None

    def add(self, name: str, values: np.ndarray) -> None:
        """A constant of this graph."""
        tensor = self.body.initializer.add()
        tensor.CopyFrom(numpy_helper.from_array(np.asarray(values, order="C"), name))
        self.tensors[name] = tensor

    def insert_before(self, user: Any, node: Any) -> None:
        self._insert(self._place(user), node)

    def insert_after(self, producer: Any, node: Any) -> None:
        self._insert(self._place(producer) + 1, node)

    def _place(self, node: Any) -> int:
        return next(index for index, other in enumerate(self.body.node) if other is node)

    def _insert(self, index: int, node: Any) -> None:
        self.body.node.insert(index, node)
        stored = self.body.node[index]
        self.producers |= {name: stored for name in stored.output if name}


def _element(value: Any) -> int:
    return int(value.type.tensor_type.elem_type)


def scopes(model: Any) -> Iterator[Scope]:
    """Every graph of the model, each after the one around it."""
    stack = [Scope(model.graph)]
    while stack:
        scope = stack.pop()
        yield scope
        stack += [Scope(inner, scope) for node in scope.body.node for inner in graph.subgraphs(node)]


def attribute(node: Any, name: str, default: Any) -> Any:
    for entry in node.attribute:
        if entry.name == name:
            return entry.i if isinstance(default, int) else entry.f
    return default


def product(node: Any) -> Product | None:
    return PRODUCTS.get((graph.normal(node.domain), node.op_type))


def factor(scope: Scope, node: Any, operand: Operand) -> int | None:
    """The element type of a factor, by its zero point where nothing else tells."""
    zero = node.input[operand.zero] if operand.zero < len(node.input) else ""
    return scope.element(node.input[operand.tensor]) or scope.element(zero)


def dequantizer(scope: Scope, name: str) -> tuple[Scope, Any] | None:
    """The DequantizeLinear that a value comes from, past operators that ONNX Runtime moves it past; and its scope."""
    for _ in range(LONGEST):
        home, node = scope.home(name), scope.producer(name)
        if node is None or home is None:
            return None
        if node.op_type == "DequantizeLinear":
            return home, node
        if node.op_type not in PASSING or not node.input:
            return None
        scope, name = home, node.input[0]
    return None


def may_saturate(tensor: Any) -> bool:
    """Whether a sum of two products of these INT8 weights with UINT8 activations can leave 16 bits.

    255 × 128 is the most that a pair may add up to: two weights of the same sign of at most 64 never do.
    """
    values = numpy_helper.to_array(tensor).reshape(-1)
    if values.size < 2:
        return False
    low, high = np.partition(values, 1)[:2].astype(int), np.partition(values, -2)[-2:].astype(int)
    return bool(high.clip(0).sum() > 128 or low.clip(None, 0).sum() < -128)
