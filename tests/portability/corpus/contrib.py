"""ONNX Runtime's own quantized operators (com.microsoft), by the formulas of their documentation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.portability.corpus.arithmetic import (
    Array,
    Context,
    dequantize_linear,
    dynamic_quantize_linear,
    product,
    qlinear_conv,
    quantize_linear,
    real,
    requantised,
)


def _scaled(total: Array, factor: Any, bias: Array | None) -> Array:
    answer = total * factor
    return (answer if bias is None else answer + bias.astype(np.float64)).astype(np.float32)


def dynamic_quantize_matmul(
    node: Context, a: Array, b: Array, b_scale: Array, b_zero: Array | None = None, bias: Array | None = None
) -> Array:
    steps, scale, zero = dynamic_quantize_linear(node, a)
    return _scaled(product(steps, zero, b, b_zero), float(scale) * b_scale.astype(np.float64), bias)


def matmul_integer_to_float(
    node: Context, a: Array, b: Array, a_scale: Array, b_scale: Array, a_zero: Array | None = None,
    b_zero: Array | None = None, bias: Array | None = None,
) -> Array:  # fmt: skip
    return _scaled(product(a, a_zero, b, b_zero), a_scale.astype(np.float64) * b_scale.astype(np.float64), bias)


def qgemm(
    node: Context, a: Array, a_scale: Array, a_zero: Array, b: Array, b_scale: Array, b_zero: Array,
    c: Array | None = None, scale: Array | None = None, zero: Array | None = None,
) -> Array:  # fmt: skip
    left = a.T if node.get("transA", 0) else a
    right = b.T if node.get("transB", 0) else b
    total = product(left, a_zero, right, b_zero) + (0 if c is None else c.astype(np.int64))
    answer = node.get("alpha", 1.0) * total * a_scale.astype(np.float64) * b_scale.astype(np.float64)
    return answer.astype(np.float32) if scale is None else requantised(answer, scale, zero)


def _binary(calculate: Callable[[Array, Array], Array]) -> Callable[..., Array]:
    def operator(
        node: Context, a: Array, a_scale: Array, a_zero: Array, b: Array, b_scale: Array, b_zero: Array,
        scale: Array, zero: Array,
    ) -> Array:  # fmt: skip
        return requantised(calculate(real(a, a_scale, a_zero), real(b, b_scale, b_zero)), scale, zero)

    return operator


def _unary(calculate: Callable[[Context, Array], Array]) -> Callable[..., Array]:
    def operator(node: Context, x: Array, x_scale: Array, x_zero: Array, scale: Array, zero: Array) -> Array:
        return requantised(calculate(node, real(x, x_scale, x_zero)), scale, zero)

    return operator


def softmax(values: Array, axis: int = -1) -> Array:
    powers = np.exp(values - values.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def sigmoid(values: Array) -> Array:
    return 1 / (1 + np.exp(-values))


def _global_average(node: Context, values: Array) -> Array:
    first = 1 if node.get("channels_last", 0) else 2
    return values.mean(axis=tuple(range(first, first + values.ndim - 2)), keepdims=True)


def _average(node: Context, values: Array) -> Array:
    kernel, strides = node.get("kernel_shape"), node.get("strides", [1] * len(node.get("kernel_shape")))
    windows = np.lib.stride_tricks.sliding_window_view(values, kernel, axis=tuple(range(2, 2 + len(kernel))))
    steps = tuple(slice(None, None, stride) for stride in strides)
    return windows[(slice(None), slice(None), *steps)].mean(axis=tuple(range(-len(kernel), 0)))


def qlinear_concat(node: Context, scale: Array, zero: Array, *triples: Array) -> Array:
    parts = [real(*triples[start : start + 3]) for start in range(0, len(triples), 3)]
    return requantised(np.concatenate(parts, axis=node.get("axis")), scale, zero)


def qlinear_where(
    node: Context, condition: Array, x: Array, x_scale: Array, x_zero: Array, y: Array, y_scale: Array, y_zero: Array,
    scale: Array, zero: Array,
) -> Array:  # fmt: skip
    return requantised(np.where(condition, real(x, x_scale, x_zero), real(y, y_scale, y_zero)), scale, zero)


def channels_conv(node: Context, x: Array, *others: Array) -> Array:
    """QLinearConv, whose activations may have their channels last."""
    if not node.get("channels_last", 0):
        return qlinear_conv(node, x, *others)
    return np.moveaxis(qlinear_conv(node, np.moveaxis(x, -1, 1), *others), 1, -1)


def unpacked(values: Array, bits: int, count: int) -> Array:
    """Unsigned numbers of 2, 4 or 8 bits along the last axis, the low ones first."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    every = (values[..., None] >> shifts) & np.uint8((1 << bits) - 1)
    return every.reshape(*values.shape[:-1], -1)[..., :count].astype(np.int64)


def matmul_nbits(
    node: Context, a: Array, b: Array, scales: Array, zeros: Array | None = None, order: Array | None = None,
    bias: Array | None = None,
) -> Array:  # fmt: skip
    inner, outer, block, bits = (node.get(name) for name in ("K", "N", "block_size", "bits"))
    bits = bits or 4
    blocks = -(-inner // block)
    whole = unpacked(b.reshape(outer, blocks, -1), bits, block)
    if zeros is None:
        offset = np.full((outer, blocks), 1 << (bits - 1))
    elif zeros.dtype == np.uint8:
        offset = unpacked(zeros.reshape(outer, -1), bits, blocks)
    else:
        offset = zeros.reshape(outer, blocks).astype(np.float64)
    weights = (whole - offset[..., None]) * scales.reshape(outer, blocks, 1).astype(np.float64)
    answer = np.matmul(a.astype(np.float64), weights.reshape(outer, -1)[:, :inner].T)
    return (answer if bias is None else answer + bias.astype(np.float64)).astype(a.dtype)


def gather_block_quantized(
    node: Context, data: Array, indices: Array, scales: Array, zeros: Array | None = None
) -> Array:
    """Rows of a table of 4 or 8 bits, with blocks along its last axis."""
    bits, block = node.get("bits", 4), node.get("block_size", 128)
    whole = unpacked(data, bits, 8 // bits * data.shape[-1]) if data.dtype == np.uint8 else data.astype(np.int64)
    middle = 1 << (bits - 1) if data.dtype == np.uint8 else 0
    offset = np.full(scales.shape, middle) if zeros is None else unpacked(zeros, bits, scales.shape[-1])
    table = (whole - np.repeat(offset, block, -1)) * np.repeat(scales.astype(np.float64), block, -1)
    return np.take(table, indices, axis=node.get("gather_axis", 0)).astype(scales.dtype)


def qattention(
    node: Context, x: Array, weight: Array, bias: Array, x_scale: Array, weight_scale: Array,
    mask: Array | None = None, x_zero: Array | None = None, weight_zero: Array | None = None,
    past: Array | None = None,
) -> Array:  # fmt: skip
    """mask: how many tokens of each row count."""
    if past is not None:
        raise NotImplementedError("QAttention with a past is not simulated")
    heads, (batch, length, _) = node.get("num_heads"), x.shape
    factor = x_scale.astype(np.float64) * weight_scale.astype(np.float64)
    projected = product(x, x_zero, weight, weight_zero) * factor + bias
    query, key, value = (
        part.reshape(batch, length, heads, -1).transpose(0, 2, 1, 3) for part in np.split(projected, 3, axis=-1)
    )
    scores = query @ key.swapaxes(-1, -2) / np.sqrt(query.shape[-1])
    if mask is not None:
        hidden = np.arange(length) >= np.asarray(mask).reshape(-1, 1, 1, 1)
        scores = np.where(hidden, -10000.0, scores)
    if node.get("unidirectional", 0):
        scores = np.where(np.triu(np.ones((length, length)), 1) > 0, -np.inf, scores)
    return (softmax(scores) @ value).transpose(0, 2, 1, 3).reshape(batch, length, -1).astype(np.float32)


def dynamic_quantize_lstm(
    node: Context, x: Array, w: Array, r: Array, b: Array | None, lengths: Array | None, first_h: Array | None,
    first_c: Array | None, peep: Array | None, w_scale: Array, w_zero: Array, r_scale: Array, r_zero: Array,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """x [steps, batch, inputs], w [directions, inputs, 4 × hidden], gates i, o, f, c; forward, or both directions."""
    sides = []
    for side in range(w.shape[0]):
        along = x[::-1] if side or node.text("direction", "forward") == "reverse" else x
        scale, zero = (w_scale[side], r_scale[side]), (w_zero[side], r_zero[side])
        steps, hidden, cell = _lstm(node, along, (w[side], r[side]), scale, zero, None if b is None else b[side])
        sides.append((steps[::-1] if along is not x else steps, hidden, cell))
    stacked = [np.stack(part, axis) for part, axis in zip(zip(*sides, strict=True), (1, 0, 0), strict=True)]
    return tuple(part.astype(np.float32) for part in stacked)  # type: ignore[return-value]


def _lstm(
    node: Context, x: Array, weights: tuple[Array, Array], scales: tuple[Array, Array], zeros: tuple[Array, Array],
    bias: Array | None,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """One direction; the inputs are quantized all at once, the hidden state at each step."""
    size = node.get("hidden_size")
    hidden = cell = np.zeros((x.shape[1], size))
    offset = 0 if bias is None else (bias[: 4 * size] + bias[4 * size :]).astype(np.float64)
    inputs = dynamic_quantize_matmul(node, x, weights[0], scales[0], zeros[0]).astype(np.float64)
    states = []
    for projected in inputs:
        state = hidden.astype(np.float32)
        gates = projected + dynamic_quantize_matmul(node, state, weights[1], scales[1], zeros[1]) + offset
        enter, leave, forget, candidate = np.split(gates, 4, axis=-1)
        cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(candidate)
        hidden = sigmoid(leave) * np.tanh(cell)
        states.append(hidden)
    return np.stack(states), hidden, cell


def qembed_layer_normalization(node: Context, ids: Array, segments: Array, *rest: Array) -> tuple[Array, Array]:
    """Tables of words, positions, segments, gain and bias; a mask; then the tables' scales, and their zero points."""
    tables, mask, scales, zeros = rest[:5], rest[5], rest[6:11], rest[11:16]
    words, positions, kinds, gain, bias = (real(*table) for table in zip(tables, scales, zeros, strict=True))
    total = words[ids] + positions[np.arange(ids.shape[1])] + kinds[segments]
    centered = total - total.mean(-1, keepdims=True)
    spread = np.sqrt((centered**2).mean(-1, keepdims=True) + node.get("epsilon", 1e-12))
    lengths = np.zeros(len(ids)) if mask is None else mask.sum(-1)
    return (centered / spread * gain + bias).astype(np.float32), lengths.astype(np.int32)


OPERATORS: dict[str, Callable[..., Any]] = {
    "QuantizeLinear": quantize_linear,
    "DequantizeLinear": dequantize_linear,
    "DynamicQuantizeMatMul": dynamic_quantize_matmul,
    "MatMulIntegerToFloat": matmul_integer_to_float,
    "QGemm": qgemm,
    "QLinearAdd": _binary(np.add),
    "QLinearMul": _binary(np.multiply),
    "QLinearSigmoid": _unary(lambda node, values: sigmoid(values)),
    "QLinearLeakyRelu": _unary(lambda node, values: np.where(values < 0, values * node.get("alpha", 0.01), values)),
    "QLinearSoftmax": _unary(lambda node, values: softmax(values, node.get("axis", -1))),
    "QLinearGlobalAveragePool": _unary(_global_average),
    "QLinearAveragePool": _unary(_average),
    "QLinearConcat": qlinear_concat,
    "QLinearWhere": qlinear_where,
    "QLinearConv": channels_conv,
    "MatMulNBits": matmul_nbits,
    "GatherBlockQuantized": gather_block_quantized,
    "QAttention": qattention,
    "DynamicQuantizeLSTM": dynamic_quantize_lstm,
    "QEmbedLayerNormalization": qembed_layer_normalization,
}
