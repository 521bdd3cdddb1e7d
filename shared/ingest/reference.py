"""The reference of a quantized model: its own arithmetic in floats, where no sum can be cut off.

Each operator that multiplies 8-bit integers is replaced by its definition (values minus zero point, times scale), and
the result runs with all optimizations off, so that nothing is fused back. It shares no code with the rewriting
(`portable`) that it is compared with. Sources: the operators' definitions in the ONNX standard and ONNX Runtime's
ContribOperators.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from shared.ingest import graph, quantized
from shared.ingest.quantized import Scope
from shared.runtime.products import MICROSOFT

FLOAT, DOUBLE, INT32 = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT32
IN_FLOATS = 1  # accuracy_level of MatMulNBits
CONV = ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")
ATTENTION = ("do_rotary", "mask_filter_value", "num_heads", "past_present_share_buffer", "scale", "unidirectional")
LSTM = ("activation_alpha", "activation_beta", "activations", "clip", "direction", "hidden_size", "input_forget")


class NoReference(Exception):
    """An operator whose meaning in floats is not known here; the message names it."""


def is_quantized(model: Any) -> bool:
    """Whether any part of the model is computed with, or stored as, fewer bits than floats have."""
    others = quantized.QDQ | {"MatMulNBits", "DynamicQuantizeLinear"}
    return any(quantized.product(n) or n.op_type in others for body in graph.bodies(model) for n in body.node)


def in_floats(model: Any) -> Any:
    """A copy of the model that computes in floats. Raises NoReference."""
    copy = type(model)()
    copy.CopyFrom(model)
    for body in graph.bodies(copy):
        if any(quantized.product(node) for node in body.node) and not hasattr(body, "initializer"):
            raise NoReference(f"the function {body.name!r} computes with integers")
    for node in (node for body in graph.bodies(copy) for node in body.node if node.op_type == "MatMulNBits"):
        for entry in node.attribute:
            if entry.name == "accuracy_level":  # 4 would round activations to 8 bits on some processors
                entry.i = IN_FLOATS
    for scope in quantized.scopes(copy):
        for node in [node for node in scope.body.node if quantized.product(node)]:
            _Floats(scope, node).replace()
    return copy


class _Floats:
    """The replacement of one operator by nodes that compute in floats."""

    def __init__(self, scope: Scope, node: Any) -> None:
        self.scope, self.node = scope, node
        self.nodes: list[Any] = []

    def replace(self) -> None:
        builders: dict[str, Callable[[], None]] = {
            "MatMulInteger": self._matmul_integer,
            "ConvInteger": self._conv_integer,
            "QLinearMatMul": self._qlinear_matmul,
            "QLinearConv": self._qlinear_conv,
            "MatMulIntegerToFloat": self._matmul_to_float,
            "DynamicQuantizeMatMul": self._dynamic_matmul,
            "QGemm": self._gemm,
            "QAttention": self._attention,
            "DynamicQuantizeLSTM": self._lstm,
        }
        builders[self.node.op_type]()
        for replacement in self.nodes:
            self.scope.insert_before(self.node, replacement)
        self.scope.body.node.remove(self.node)

    # ---- the operators

    def _matmul_integer(self) -> None:
        activations = self._centered(self._input(0), self._rows(self._input(2)), DOUBLE)
        weights = self._centered(self._input(1), self._input(3), DOUBLE)
        self._emit("Cast", [self._emit("MatMul", [activations, weights])], self.node.output[0], to=INT32)

    def _conv_integer(self) -> None:
        activations = self._centered(self._input(0), self._input(2))
        weights = self._centered(self._input(1), self._channels(self._input(3)))
        sums = self._emit("Conv", [activations, weights], **self._attributes(CONV))
        self._emit("Cast", [self._emit("Round", [sums])], self.node.output[0], to=INT32)

    def _qlinear_matmul(self) -> None:
        activations = self._real(self._input(0), self._rows(self._input(1)), self._rows(self._input(2)))
        weights = self._real(self._input(3), self._input(4), self._input(5))
        self._requantize(self._emit("MatMul", [activations, weights]), self._input(6), self._input(7))

    def _qlinear_conv(self) -> None:
        last = bool(quantized.attribute(self.node, "channels_last", 0))
        activations = self._real(self._input(0), self._input(1), self._input(2))
        weights, scale = self._input(3), self._input(4)
        weights = self._real(weights, self._channels(scale), self._channels(self._input(5)))
        inputs = [self._transposed(activations, first=True) if last else activations, weights]
        if self._input(8):
            step = self._emit("Mul", [self._float(self._input(1)), self._float(scale)])
            inputs.append(self._emit("Mul", [self._float(self._input(8)), step]))
        sums = self._emit("Conv", inputs, **self._attributes(CONV))
        self._requantize(self._transposed(sums, first=False) if last else sums, self._input(6), self._input(7))

    def _matmul_to_float(self) -> None:
        activations = self._real(self._input(0), self._rows(self._input(2)), self._rows(self._input(4)))
        weights = self._real(self._input(1), self._input(3), self._input(5))
        self._biased(self._emit("MatMul", [activations, weights]), self._input(6))

    def _dynamic_matmul(self) -> None:
        values, scale, zero = (f"{self.node.output[0]}/{part}" for part in ("quantized", "scale", "zero"))
        self.nodes.append(helper.make_node("DynamicQuantizeLinear", [self._input(0)], [values, scale, zero]))
        weights = self._real(self._input(1), self._input(2), self._input(3))
        self._biased(self._emit("MatMul", [self._real(values, scale, zero), weights]), self._input(4))

    def _gemm(self) -> None:
        activations = self._real(self._input(0), self._input(1), self._input(2))
        weights = self._real(self._input(3), self._input(4), self._input(5))
        sides = [
            self._emit("Transpose", [side], perm=[1, 0]) if quantized.attribute(self.node, name, 0) else side
            for side, name in ((activations, "transA"), (weights, "transB"))
        ]
        total = self._emit("MatMul", sides)
        if self._input(6):
            step = self._emit("Mul", [self._float(self._input(1)), self._float(self._input(4))])
            total = self._emit("Add", [total, self._emit("Mul", [self._float(self._input(6)), step])])
        alpha = self._constant(np.float32(quantized.attribute(self.node, "alpha", 1.0)))
        if self._input(7):
            self._requantize(self._emit("Mul", [total, alpha]), self._input(7), self._input(8))
        else:
            self._emit("Mul", [total, alpha], self.node.output[0])

    def _attention(self) -> None:
        activations = self._real(self._input(0), self._input(3), self._input(6))
        weights = self._real(self._input(1), self._input(4), self._input(7))
        inputs = [activations, weights, self._input(2), self._input(5), self._input(8)]
        attributes = self._attributes(ATTENTION)
        self.nodes.append(helper.make_node("Attention", inputs, self.node.output, domain=MICROSOFT, **attributes))

    def _lstm(self) -> None:
        weights = [self._cells(1, 8, 9), self._cells(2, 10, 11)]
        inputs = [self._input(0), *weights, *(self._input(index) for index in range(3, 8))]
        self.nodes.append(helper.make_node("LSTM", inputs, self.node.output, **self._attributes(LSTM)))

    def _cells(self, values: int, scale: int, zero: int) -> str:
        """Weights as LSTM has them: [directions, 4 × hidden, inputs]; the quantized form has the last two swapped."""
        aligned = []
        for name in (self._input(scale), self._input(zero)):
            tensor = self.scope.tensor(name)
            if name and tensor is None:
                raise NoReference("DynamicQuantizeLSTM has scales that are not constants")
            shape = [0, 1, -1] if name and len(tensor.dims) == 2 else [-1, 1, 1]
            if name and len(tensor.dims) == 2:
                shape = [tensor.dims[0], 1, tensor.dims[1]]
            aligned.append(self._emit("Reshape", [name, self._constant(np.array(shape, np.int64))]) if name else "")
        return self._emit("Transpose", [self._real(self._input(values), *aligned)], perm=[0, 2, 1])

    # ---- parts of several operators

    def _input(self, index: int) -> str:
        return self.node.input[index] if index < len(self.node.input) else ""

    def _attributes(self, names: tuple[str, ...]) -> dict[str, Any]:
        return {a.name: helper.get_attribute_value(a) for a in self.node.attribute if a.name in names}

    def _emit(self, kind: str, inputs: list[str], output: str = "", **attributes: Any) -> str:
        output = output or f"{self.node.output[0]}/float/{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def _constant(self, values: np.ndarray | np.generic) -> str:
        name = f"{self.node.output[0]}/constant/{len(self.nodes)}"
        self.scope.add(name, np.asarray(values))
        return name

    def _float(self, name: str, kind: int = FLOAT) -> str:
        return self._emit("Cast", [name], to=kind)

    def _centered(self, values: str, zero: str, kind: int = FLOAT) -> str:
        wide = self._float(values, kind)
        return self._emit("Sub", [wide, self._float(zero, kind)]) if zero else wide

    def _real(self, values: str, scale: str, zero: str) -> str:
        return self._emit("Mul", [self._centered(values, zero), self._float(scale)])

    def _requantize(self, values: str, scale: str, zero: str) -> None:
        inputs = [values, self._float(scale), zero] if zero else [values, self._float(scale)]
        self._emit("QuantizeLinear", inputs, self.node.output[0])

    def _biased(self, values: str, bias: str) -> None:
        self._emit("Add" if bias else "Identity", [values, bias] if bias else [values], self.node.output[0])

    def _rows(self, name: str) -> str:
        """One number per row of the left factor, as a column; a single number unchanged."""
        return self._aligned(name, [-1, 1])

    def _channels(self, name: str) -> str:
        """One number per filter, along the first of as many axes as the weights have."""
        return self._aligned(name, [-1] + [1] * (self._rank() - 1))

    def _aligned(self, name: str, shape: list[int]) -> str:
        tensor = self.scope.tensor(name) if name else None
        if tensor is None or len(tensor.dims) != 1 or tensor.dims[0] == 1:
            return name
        return self._emit("Reshape", [name, self._constant(np.array(shape, np.int64))])

    def _rank(self) -> int:
        weights = quantized.product(self.node).weights[0].tensor  # type: ignore[union-attr]  # it is in the table
        tensor = self.scope.tensor(self._input(weights))
        if tensor is None:
            raise NoReference(f"{self.node.op_type} has weights that are not constants")
        return len(tensor.dims)

    def _transposed(self, values: str, *, first: bool) -> str:
        """Channels from the last axis to the second (first=True), or back."""
        spatial = list(range(1, self._rank() - 1))
        perm = [0, self._rank() - 1, *spatial] if first else [0, *(axis + 1 for axis in spatial), 1]
        return self._emit("Transpose", [values], perm=perm)
