"""Operators that compute with 8-bit integers, their inputs by index, and a scope that resolves names to values.

Sources: the operators' definitions in the ONNX standard and in ONNX Runtime's ContribOperators.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from onnx import TensorProto, numpy_helper

from shared.ingest import elements, graph
from shared.ingest.elements import Types
from shared.runtime.products import PRODUCTS, Operand, Product

INT8, UINT8 = TensorProto.INT8, TensorProto.UINT8


# ONNX Runtime fuses these into such a product if their inputs come from DequantizeLinear.
FUSED = frozenset({"MatMul", "Gemm", "Conv", "ConvTranspose", "FusedMatMul", "FusedGemm", "FusedConv"})
# Operators that pass elements on unchanged: index of the input that holds them; None = all inputs.
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
# ONNX Runtime moves DequantizeLinear past these operators, and then fuses it with what follows.
TRANSPARENT = frozenset(MOVING) | {"Relu", "Clip", "MaxPool", "Dropout", "LeakyRelu", "Resize"}
MAX_CHAIN = 64  # operators that are followed from a value back to its source: no exporter writes longer chains
QDQ = frozenset({"QuantizeLinear", "DequantizeLinear"})


class Scope:
    """One graph, and the graphs around it, whose names it sees. types: element types of its names."""

    def __init__(self, body: Any, types: Types, opsets: Mapping[str, int], outer: Scope | None = None) -> None:
        self.body, self.outer = body, outer
        self._types, self._opsets = types, opsets
        self._inputs = {value.name for value in body.input}
        # an initializer that is listed as an input is a default: a call may replace it, so it is no constant
        self.tensors = {tensor.name: tensor for tensor in body.initializer if tensor.name not in self._inputs}
        self.producers = {name: node for node in body.node for name in node.output if name}
        values = [
            (node.output[0], entry) for node in body.node if node.op_type == "Constant" for entry in node.attribute
        ]
        self.tensors |= {name: entry.t for name, entry in values if entry.name == "value"}

    def home(self, name: str) -> Scope | None:
        """The scope that defines the name."""
        if name in self.tensors or name in self.producers or name in self._inputs:
            return self
        return self.outer.home(name) if self.outer else None

    def tensor(self, name: str) -> Any:
        """The constant of that name, or None."""
        home = self.home(name)
        return home.tensors.get(name) if home else None

    def producer(self, name: str) -> Any:
        """The node that computes the value, or None for an input or a constant."""
        home = self.home(name)
        return home.producers.get(name) if home and name not in home.tensors else None

    def element(self, name: str) -> int | None:
        """The element type (TensorProto) of a value; None if it is unknown."""
        return self._types.get(name)

    def add(self, name: str, values: np.ndarray) -> None:
        """Add a constant to this graph."""
        tensor = self.body.initializer.add()
        tensor.CopyFrom(numpy_helper.from_array(np.asarray(values, order="C"), name))
        self.tensors[name] = tensor
        self._types[name] = tensor.data_type

    def insert_before(self, user: Any, node: Any) -> None:
        self._insert(self._index(user), node)

    def insert_after(self, producer: Any, node: Any) -> None:
        self._insert(self._index(producer) + 1, node)

    def _index(self, node: Any) -> int:
        return next(index for index, other in enumerate(self.body.node) if other is node)

    def _insert(self, index: int, node: Any) -> None:
        self.body.node.insert(index, node)
        stored = self.body.node[index]
        self.producers |= {name: stored for name in stored.output if name}
        inputs = [self._types.get(name) for name in stored.input]
        self._types.update(zip(stored.output, elements.output_types(stored, inputs, self._opsets), strict=False))


def scopes(model: Any) -> list[Scope]:
    """Every graph of the model, each after the one around it. Functions are left out: inline them first."""
    visited: list[tuple[Any, Types]] = []
    elements.Walk(model).through(lambda body, facts, types, opset: visited.append((body, types)))
    types = {id(body): types for body, types in visited}  # `visited` keeps the bodies, so no id is used twice
    opsets = elements.opsets_of(model)
    ordered, stack = [], [Scope(model.graph, types[id(model.graph)], opsets)]
    while stack:
        scope = stack.pop()
        ordered.append(scope)
        inner = [body for node in scope.body.node for body in graph.subgraphs(node)]
        stack += [Scope(body, types[id(body)], opsets, scope) for body in inner]
    return ordered


def attribute(node: Any, name: str, default: Any) -> Any:
    for entry in node.attribute:
        if entry.name == name:
            return entry.i if isinstance(default, int) else entry.f
    return default


def product(node: Any) -> Product | None:
    return PRODUCTS.get((graph.normal(node.domain), node.op_type))


def factor(scope: Scope, node: Any, operand: Operand) -> int | None:
    """The element type of a factor; that of its zero point if its own is unknown."""
    zero = node.input[operand.zero] if operand.zero < len(node.input) else ""
    return scope.element(node.input[operand.tensor]) or scope.element(zero)


def dequantizer(scope: Scope, name: str) -> tuple[Scope, Any] | None:
    """The DequantizeLinear that a value comes from, also through transparent operators; and its scope."""
    for _ in range(MAX_CHAIN):
        home, node = scope.home(name), scope.producer(name)
        if node is None or home is None:
            return None
        if node.op_type == "DequantizeLinear":
            return home, node
        if node.op_type not in TRANSPARENT or not node.input:
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
