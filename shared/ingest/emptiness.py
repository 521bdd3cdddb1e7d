"""Facts about a graph's values before it runs: which tensors may be empty, and which divisions may trap."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, numpy_helper

from shared.ingest import graph, operators

# If all their inputs have elements, so has the output.
KEEP_ALL = frozenset(
    """
    Add Sub Mul Div Pow Mod Min Max Sum Mean And Or Xor Equal Less Greater LessOrEqual GreaterOrEqual Where PRelu
    MatMul MatMulInteger QLinearMatMul Gemm Gather LSTM GRU RNN SkipLayerNormalization FusedMatMul FusedGemm
    SkipSimplifiedLayerNormalization EmbedLayerNormalization QLinearAdd QLinearMul MatMulNBits
    DynamicQuantizeMatMul MatMulIntegerToFloat QGemm BiasGelu
    """.split()  # noqa: SIM905 - as in operators.py
)
# If their first input has elements, so has the output. Others may be empty, as the past of attention in a first call.
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
# These reject an image without pixels, and produce none: their output is empty only if the batch is.
CONVOLUTIONS = frozenset({"Conv", "FusedConv", "QLinearConv", "ConvInteger"})
KEEP_BATCH = frozenset({"MaxPool", "AveragePool", "LpPool", "QLinearAveragePool", "NhwcMaxPool", "ConvTranspose"})
SAME_VALUES = frozenset({"Gather", "Slice", "Squeeze", "Unsqueeze", "Identity", "Reshape", "Flatten"})
MAX_JOINS = 200  # Concats that are looked into: more of them cost time, and their emptiness stays unknown
MAX_HOPS = 50  # operators from a divisor back to the shape that it is read from
SMALLEST = {np.dtype(np.int32): -(2**31), np.dtype(np.int64): -(2**63)}


class Facts:
    """Facts about one graph or function. outer: about the graph around it, where names are looked up next."""

    def __init__(self, body: Any, outer: Facts | None = None) -> None:
        self._outer = outer
        initializers = getattr(body, "initializer", None)
        self._outermost = outer is None and initializers is not None
        inputs = {value.name: value for value in body.input} if initializers is not None else {}
        self._inputs = inputs if self._outermost else {}
        self._producers = {name: node for node in body.node for name in node.output if name}
        self._joins: dict[str, set[str] | None] = {}
        # an initializer that is listed as an input is a default: a call may replace it, so it is no constant
        self._tensors = {tensor.name: tensor for tensor in initializers or () if tensor.name not in inputs}

    # ---- emptiness

    def empty_by(self, name: str) -> set[str] | None:
        """The model's inputs of which one is empty if this value is; None if it may be empty for another reason."""
        if not self._outermost:
            return None
        inputs: set[str] = set()
        visited: set[tuple[str, bool]] = set()
        pending = [(name, False)]
        while pending:
            key = pending.pop()
            if key in visited or not key[0]:
                continue
            visited.add(key)
            if key[0] in self._inputs:
                inputs |= {key[0]} if _may_be_empty(self._inputs[key[0]]) else set()
            elif key[0] in self._producers and self._producers[key[0]].op_type == "Concat":
                of_concat = self._concat_empty_by(self._producers[key[0]])
                if of_concat is None:
                    return None
                inputs |= of_concat
            elif (sources := self._sources(*key)) is None:
                return None
            else:
                pending += sources
        return inputs

    def _concat_empty_by(self, node: Any) -> set[str] | None:
        """As `empty_by`, for a Concat: it is empty only if all of its parts are."""
        name = node.output[0]
        if name not in self._joins:
            self._joins[name] = None  # ends the recursion in a graph with a cycle, which ONNX Runtime refuses later
            parts = [self.empty_by(part) for part in node.input] if len(self._joins) < MAX_JOINS else [None]
            certain = set() in parts or all(part is not None and part == parts[0] for part in parts)
            self._joins[name] = (set() if set() in parts else parts[0]) if certain else None
        return self._joins[name]

    def _sources(self, name: str, batch_only: bool) -> list[tuple[str, bool]] | None:
        """The values that must have elements for this one to have some; None if that is not sufficient.

        batch_only: only the first dimension counts, as the others are known to be above 0.
        """
        node = self._producers.get(name)
        if node is None or node.op_type == "Constant":
            dims = self._dims(name)
            return None if dims is None or 0 in dims else []
        if self._is_guard(node):
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

    def _is_guard(self, node: Any) -> bool:
        """Whether it is a guard of an earlier check of this model: Reshape to Max(shape, 1)."""
        filled = self._producers.get(node.input[1]) if node.op_type == "Reshape" and len(node.input) > 1 else None
        if filled is None or filled.op_type != "Max":
            return False
        bounds = [self.constant(name) for name in filled.input]
        return any(bound is not None and bound.size and bool((bound >= 1).all()) for bound in bounds)

    # ---- integers

    def constant(self, name: str) -> Any:
        """The integers of a constant; None for any other value."""
        if name in self._tensors:
            return _integers(self._tensors[name])
        node = self._producers.get(name)
        if node is None:
            return self._outer.constant(name) if self._outer else None
        if node.op_type != "Constant" or not node.attribute:
            return None
        attribute = node.attribute[0]
        if attribute.name == "value":
            return _integers(attribute.t)
        numbers = {"value_int": [attribute.i], "value_ints": list(attribute.ints)}.get(attribute.name)
        if numbers is None or attribute.ref_attr_name:
            return None
        return np.array(numbers if attribute.name == "value_ints" else numbers[0], np.int64)

    def may_trap(self, numerator: str, divisor: str) -> bool:
        """Whether the smallest integer may be divided by −1."""
        divisors, numerators = self.constant(divisor), self.constant(numerator)
        if divisors is not None and not (divisors == -1).any():
            return False
        if numerators is not None and not (numerators == SMALLEST.get(numerators.dtype, -(2**31))).any():
            return False
        return not (self._is_size(divisor) or self._is_size(numerator) or self._is_guarded(divisor))

    def _producer(self, name: str) -> Any:
        node = self._producers.get(name)
        return self._outer._producer(name) if node is None and self._outer else node

    def _is_size(self, name: str, hops: int = MAX_HOPS) -> bool:
        """Whether it is read from a shape, so never below 0. Arithmetic and casts do not count: they may overflow."""
        node = self._producer(name)
        if node is None or node.op_type == "Constant":
            value = self.constant(name)
            return hops < MAX_HOPS and value is not None and bool((value >= 0).all())
        if node.op_type in ("Shape", "Size"):
            return True
        if not hops or graph.normal(node.domain):
            return False
        names = node.input if node.op_type == "Concat" else node.input[:1] if node.op_type in SAME_VALUES else ()
        return bool(names) and all(self._is_size(other, hops - 1) for other in names)

    def _is_guarded(self, divisor: str) -> bool:
        """Whether it comes from a guard of an earlier check of this model: Where(divisor = −1, another, divisor)."""
        where = self._producer(divisor)
        if where is None or where.op_type != "Where" or len(where.input) != 3:
            return False
        hit, other = self._producer(where.input[0]), self.constant(where.input[1])
        if hit is None or hit.op_type != "Equal" or other is None or (other == -1).any():
            return False
        compared = [self.constant(name) for name in hit.input if name != where.input[2]]
        return (
            len(compared) == 1 and compared[0] is not None and bool((compared[0] == -1).all()) and compared[0].size == 1
        )


def _integers(tensor: Any) -> Any:
    if tensor.data_type not in (TensorProto.INT32, TensorProto.INT64):
        return None
    try:
        return numpy_helper.to_array(tensor)
    except Exception:  # malformed: weights.check refuses it
        return None


def _may_be_empty(value: Any) -> bool:
    kind = value.type.tensor_type
    return not kind.HasField("shape") or any(not dim.dim_value > 0 for dim in kind.shape.dim)
