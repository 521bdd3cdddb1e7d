"""What is known of the values of a graph before it runs: which may be empty, and which divisions may trap."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, numpy_helper

from shared.ingest import graph, operators

# Where all inputs have elements, so has the output.
KEEP_ALL = frozenset(
    """
    Add Sub Mul Div Pow Mod Min Max Sum Mean And Or Xor Equal Less Greater LessOrEqual GreaterOrEqual Where PRelu
    MatMul MatMulInteger QLinearMatMul Gemm Gather LSTM GRU RNN SkipLayerNormalization FusedMatMul FusedGemm
    SkipSimplifiedLayerNormalization EmbedLayerNormalization QLinearAdd QLinearMul MatMulNBits
    DynamicQuantizeMatMul MatMulIntegerToFloat QGemm BiasGelu
    """.split()  # noqa: SIM905 - as in operators.py
)
# Where their first input has elements, so has the output: what attention remembers of earlier calls may be empty.
KEEP_FIRST = frozenset(
    """
    Abs Neg Exp Log Sqrt Reciprocal Relu LeakyRelu Elu Selu Celu Sigmoid HardSigmoid HardSwish Tanh Erf Gelu Mish
    Softplus Softsign Swish Softmax LogSoftmax Hardmax Sin Cos Not Sign Floor Ceil Round Clip Cast CastLike Identity
    Dropout Reshape Flatten Squeeze Unsqueeze Transpose BatchNormalization LayerNormalization InstanceNormalization
    GroupNormalization RMSNormalization SimplifiedLayerNormalization LpNormalization LRN MeanVarianceNormalization
    QuantizeLinear DequantizeLinear DynamicQuantizeLinear QuickGelu FastGelu CumSum GlobalAveragePool GlobalMaxPool
    Attention MultiHeadAttention QAttention GroupQueryAttention QLinearSigmoid QLinearLeakyRelu QLinearSoftmax
    QLinearGlobalAveragePool Conv FusedConv QLinearConv ConvInteger Scaler Normalizer Imputer RotaryEmbedding Trilu
    """.split()  # noqa: SIM905
)
# These refuse an image without pixels, and make none: what comes of them is empty only where the batch is.
CONVOLUTIONS = frozenset({"Conv", "FusedConv", "QLinearConv", "ConvInteger"})
KEEP_BATCH = frozenset({"MaxPool", "AveragePool", "LpPool", "QLinearAveragePool", "NhwcMaxPool", "ConvTranspose"})
SAME_NUMBERS = frozenset({"Gather", "Slice", "Squeeze", "Unsqueeze", "Identity", "Reshape", "Flatten"})
JOINS = 200
HOPS = 50  # from a divisor to the shape that it is read from
SMALLEST = {np.dtype(np.int32): -(2**31), np.dtype(np.int64): -(2**63)}


class Facts:
    """Of one graph or function. outer: of the graph around it. Names are looked up from the inside out."""

    def __init__(self, body: Any, outer: Facts | None = None) -> None:
        self._outer = outer
        initializers = getattr(body, "initializer", None)
        self._outermost = outer is None and initializers is not None
        inputs = {value.name: value for value in body.input} if initializers is not None else {}
        self._inputs = inputs if self._outermost else {}
        self._made = {name: node for node in body.node for name in node.output if name}
        self._joins: dict[str, set[str] | None] = {}
        # what a call may replace is no constant
        self._tensors = {tensor.name: tensor for tensor in initializers or () if tensor.name not in inputs}

    # ---- emptiness

    def empty_by(self, name: str) -> set[str] | None:
        """The model's inputs one of which has to be empty for this to be; None where it may be for another reason."""
        if not self._outermost:
            return None
        inputs: set[str] = set()
        seen: set[tuple[str, bool]] = set()
        waiting = [(name, False)]
        while waiting:
            key = waiting.pop()
            if key in seen or not key[0]:
                continue
            seen.add(key)
            if key[0] in self._inputs:
                inputs |= {key[0]} if _may_be_empty(self._inputs[key[0]]) else set()
            elif key[0] in self._made and self._made[key[0]].op_type == "Concat":
                joined = self._joined(self._made[key[0]])
                if joined is None:
                    return None
                inputs |= joined
            elif (before := self._before(*key)) is None:
                return None
            else:
                waiting += before
        return inputs

    def _joined(self, node: Any) -> set[str] | None:
        """Of a Concat, which is empty only where all of its parts are."""
        name = node.output[0]
        if name not in self._joins:
            self._joins[name] = None  # while it is looked at: a ring of them, or very many, stay unknown
            parts = [self.empty_by(part) for part in node.input] if len(self._joins) < JOINS else [None]
            certain = set() in parts or all(part is not None and part == parts[0] for part in parts)
            self._joins[name] = (set() if set() in parts else parts[0]) if certain else None
        return self._joins[name]

    def _before(self, name: str, batch_only: bool) -> list[tuple[str, bool]] | None:
        """What must have elements for this to have them; None where that would not do."""
        node = self._made.get(name)
        if node is None or node.op_type == "Constant":
            dims = self._dims(name)
            return None if dims is None or 0 in dims else []
        if self._asserted(node):
            return []
        if graph.normal(node.domain) not in (*operators.STANDARD, operators.MICROSOFT) or not node.input:
            return None
        if node.op_type in CONVOLUTIONS:
            return [(node.input[0], True)]
        if node.op_type in KEEP_ALL:
            return [(other, batch_only) for other in node.input]
        if node.op_type in KEEP_FIRST or (batch_only and node.op_type in KEEP_BATCH):
            return [(node.input[0], batch_only)]
        return None

    def _dims(self, name: str) -> list[int] | None:
        if name in self._tensors:
            return list(self._tensors[name].dims)
        value = self.constant(name)
        return None if value is None else list(value.shape)

    def _asserted(self, node: Any) -> bool:
        """A guard of an earlier examination: Reshape to Max(shape, 1)."""
        filled = self._made.get(node.input[1]) if node.op_type == "Reshape" and len(node.input) > 1 else None
        if filled is None or filled.op_type != "Max":
            return False
        bounds = [self.constant(name) for name in filled.input]
        return any(bound is not None and bound.size and bool((bound >= 1).all()) for bound in bounds)

    # ---- numbers

    def constant(self, name: str) -> Any:
        """The whole numbers that never change under this name, or None."""
        if name in self._tensors:
            return _whole(self._tensors[name])
        node = self._made.get(name)
        if node is None:
            return self._outer.constant(name) if self._outer else None
        if node.op_type != "Constant" or not node.attribute:
            return None
        attribute = node.attribute[0]
        if attribute.name == "value":
            return _whole(attribute.t)
        numbers = {"value_int": [attribute.i], "value_ints": list(attribute.ints)}.get(attribute.name)
        if numbers is None or attribute.ref_attr_name:
            return None
        return np.array(numbers if attribute.name == "value_ints" else numbers[0], np.int64)

    def may_trap(self, numerator: str, divisor: str) -> bool:
        """Whether the smallest whole number may meet −1."""
        below, above = self.constant(divisor), self.constant(numerator)
        if below is not None and not (below == -1).any():
            return False
        if above is not None and not (above == SMALLEST.get(above.dtype, -(2**31))).any():
            return False
        return not (self._size(divisor) or self._size(numerator) or self._replaced(divisor))

    def _producer(self, name: str) -> Any:
        node = self._made.get(name)
        return self._outer._producer(name) if node is None and self._outer else node

    def _size(self, name: str, hops: int = HOPS) -> bool:
        """Read from a shape, so never below 0. No arithmetic, no casts: they may go over the end of their type."""
        node = self._producer(name)
        if node is None or node.op_type == "Constant":
            value = self.constant(name)
            return hops < HOPS and value is not None and bool((value >= 0).all())
        if node.op_type in ("Shape", "Size"):
            return True
        if not hops or graph.normal(node.domain):
            return False
        names = node.input if node.op_type == "Concat" else node.input[:1] if node.op_type in SAME_NUMBERS else ()
        return bool(names) and all(self._size(other, hops - 1) for other in names)

    def _replaced(self, divisor: str) -> bool:
        """A guard of an earlier examination: Where(divisor = −1, another, divisor)."""
        chosen = self._producer(divisor)
        if chosen is None or chosen.op_type != "Where" or len(chosen.input) != 3:
            return False
        hit, other = self._producer(chosen.input[0]), self.constant(chosen.input[1])
        if hit is None or hit.op_type != "Equal" or other is None or (other == -1).any():
            return False
        compared = [self.constant(name) for name in hit.input if name != chosen.input[2]]
        return (
            len(compared) == 1 and compared[0] is not None and bool((compared[0] == -1).all()) and compared[0].size == 1
        )


def _whole(tensor: Any) -> Any:
    if tensor.data_type not in (TensorProto.INT32, TensorProto.INT64):
        return None
    try:
        return numpy_helper.to_array(tensor)
    except Exception:  # malformed: weights.check says so
        return None


def _may_be_empty(value: Any) -> bool:
    kind = value.type.tensor_type
    return not kind.HasField("shape") or any(not dim.dim_value > 0 for dim in kind.shape.dim)
