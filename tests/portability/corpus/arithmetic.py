"""The quantized operators of the ONNX standard, and the float ones they surround, in int64 and float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import helper

Array = np.ndarray
SMALL = {"int4": (-8, 7), "uint4": (0, 15), "int2": (-2, 1), "uint2": (0, 3)}


@dataclass(frozen=True)
class Context:
    """Of a node: its operator set's version, and its attributes."""

    opset: int
    attributes: dict[str, Any]

    def get(self, name: str, default: Any = None) -> Any:
        return self.attributes.get(name, default)

    def text(self, name: str, default: str) -> str:
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else str(value)


def span(dtype: Any) -> tuple[int, int]:
    """The least and the greatest value of an integer type, those of fewer than 8 bits included."""
    if dtype.name in SMALL:
        return SMALL[dtype.name]
    limits = np.iinfo(dtype)
    return int(limits.min), int(limits.max)


def saturated(values: Array, dtype: Any) -> Array:
    low, high = span(dtype)
    return np.clip(values, low, high).astype(dtype)


def spread(factor: Array, like: Array, axis: int, block: int = 0) -> Array:
    """A scale or zero point, per tensor, axis or block, in a shape that goes with `like`."""
    factor = np.asarray(factor)
    if block:
        return np.repeat(factor, block, axis=axis).take(range(like.shape[axis]), axis=axis)
    if factor.size == 1:
        return factor.reshape(())
    shape = [1] * like.ndim
    shape[axis] = -1
    return factor.reshape(shape)


def requantised(real: Array, scale: Array, zero: Array | None, dtype: Any = None) -> Array:
    """float64 values in steps of `scale`, half to even."""
    dtype = np.dtype(np.uint8) if dtype is None and zero is None else (dtype or zero.dtype)  # type: ignore[union-attr]
    offset = 0 if zero is None else np.asarray(zero).astype(np.int64)
    return saturated(np.rint(real / np.asarray(scale).astype(np.float64)) + offset, dtype)


def real(values: Array, scale: Array, zero: Array | None = None, axis: int = 1, block: int = 0) -> Array:
    """float64 of quantized values."""
    return integers(values, zero, axis, block) * spread(np.asarray(scale).astype(np.float64), values, axis, block)


def integers(values: Array, zero: Array | None, axis: int = 1, block: int = 0) -> Array:
    """int64, less the zero point."""
    whole = np.asarray(values).astype(np.int64)
    return whole if zero is None else whole - spread(np.asarray(zero).astype(np.int64), whole, axis, block)


def quantize_linear(node: Context, x: Array, scale: Array, zero: Array | None = None) -> Array:
    axis, block = node.get("axis", 1), node.get("block_size", 0)
    output_type = node.get("output_dtype", 0)
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(output_type)) if output_type and zero is None else None
    # the division is the standard's own, in the input's precision: it decides which values are ties
    steps = np.rint(x.astype(np.float32) / spread(scale.astype(np.float32), x, axis, block)).astype(np.float64)
    if zero is None:
        return saturated(steps, dtype or np.dtype(np.uint8))
    return saturated(steps + spread(zero.astype(np.int64), x, axis, block), zero.dtype)


def dequantize_linear(node: Context, x: Array, scale: Array, zero: Array | None = None) -> Array:
    return real(x, scale, zero, node.get("axis", 1), node.get("block_size", 0)).astype(scale.dtype)


def dynamic_quantize_linear(node: Context, x: Array) -> tuple[Array, Array, Array]:
    low, high = min(np.float32(0), x.min()), max(np.float32(0), x.max())
    scale = np.float32(high - low) / np.float32(255) or np.float32(1)  # of zeros alone, any scale will do
    zero = saturated(np.rint(-low / scale), np.dtype(np.uint8))
    return quantize_linear(node, x, scale, zero), np.asarray(scale, np.float32), np.asarray(zero)


def rows(factor: Array | None) -> Array | None:
    """A scale or zero point of the left operand: one for each row, when there are several."""
    return factor if factor is None or np.ndim(factor) != 1 or np.size(factor) == 1 else factor.reshape(-1, 1)


def product(a: Array, a_zero: Array | None, b: Array, b_zero: Array | None) -> Array:
    """int64, exactly. Zero points: one, one per row of `a`, one per column of `b`."""
    left = a.astype(np.int64) - (0 if a_zero is None else rows(a_zero).astype(np.int64))  # type: ignore[union-attr]
    right = b.astype(np.int64) - (0 if b_zero is None else b_zero.astype(np.int64))
    return np.matmul(left, right)


def matmul_integer(
    node: Context, a: Array, b: Array, a_zero: Array | None = None, b_zero: Array | None = None
) -> Array:
    return product(a, a_zero, b, b_zero).astype(np.int32)


def qlinear_matmul(
    node: Context, a: Array, a_scale: Array, a_zero: Array, b: Array, b_scale: Array, b_zero: Array, scale: Array,
    zero: Array,
) -> Array:  # fmt: skip
    factor = rows(a_scale).astype(np.float64) * b_scale.astype(np.float64)  # type: ignore[union-attr]
    return requantised(product(a, a_zero, b, b_zero) * factor, scale, zero)


def padding(node: Context, shape: tuple[int, ...], kernel: tuple[int, ...]) -> list[tuple[int, int]]:
    """Begin and end of each spatial axis."""
    rank, mode = len(kernel), node.text("auto_pad", "NOTSET")
    strides, dilations = node.get("strides", [1] * rank), node.get("dilations", [1] * rank)
    if mode == "NOTSET":
        pads = node.get("pads", [0] * 2 * rank)
        return list(zip(pads[:rank], pads[rank:], strict=True))
    if mode == "VALID":
        return [(0, 0)] * rank
    sides = []
    for size, width, stride, dilation in zip(shape, kernel, strides, dilations, strict=True):
        total = max((-(-size // stride) - 1) * stride + (width - 1) * dilation + 1 - size, 0)
        small, large = total // 2, total - total // 2
        sides.append((small, large) if mode == "SAME_UPPER" else (large, small))
    return sides


def convolved(node: Context, x: Array, w: Array) -> Array:
    """[N, C, …] with [M, C / group, …], both int64 or float64."""
    kernel, groups = w.shape[2:], node.get("group", 1)
    rank = len(kernel)
    strides, dilations = node.get("strides", [1] * rank), node.get("dilations", [1] * rank)
    padded = np.pad(x, [(0, 0), (0, 0), *padding(node, x.shape[2:], kernel)])
    reach = tuple((width - 1) * dilation + 1 for width, dilation in zip(kernel, dilations, strict=True))
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=tuple(range(2, 2 + rank)))
    steps = tuple(slice(None, None, stride) for stride in strides)
    taps = tuple(slice(None, None, dilation) for dilation in dilations)
    windows = windows[(slice(None), slice(None), *steps, *taps)]
    width, filters = w.shape[1], w.shape[0] // groups
    parts = []
    for group in range(groups):
        window = windows[:, group * width : (group + 1) * width]
        axes = [1, *range(2 + rank, 2 + 2 * rank)]
        filtered = np.tensordot(window, w[group * filters : (group + 1) * filters], (axes, range(1, 2 + rank)))
        parts.append(np.moveaxis(filtered, -1, 1))
    return np.concatenate(parts, axis=1)


def channels(values: Array, rank: int) -> Array:
    """One number per output channel, against [N, M, …]."""
    return values.reshape(-1, *[1] * rank) if np.size(values) > 1 else np.asarray(values).reshape(())


def conv(node: Context, x: Array, w: Array, bias: Array | None = None) -> Array:
    total = convolved(node, x.astype(np.float64), w.astype(np.float64))
    if bias is not None:
        total = total + bias.astype(np.float64).reshape(-1, *[1] * (x.ndim - 2))
    return total.astype(x.dtype)


def conv_integer(node: Context, x: Array, w: Array, x_zero: Array | None = None, w_zero: Array | None = None) -> Array:
    return convolved(node, integers(x, x_zero), integers(w, w_zero, 0)).astype(np.int32)


def qlinear_conv(
    node: Context, x: Array, x_scale: Array, x_zero: Array, w: Array, w_scale: Array, w_zero: Array, scale: Array,
    zero: Array, bias: Array | None = None,
) -> Array:  # fmt: skip
    total = convolved(node, integers(x, x_zero), integers(w, w_zero, 0))
    if bias is not None:
        total = total + bias.astype(np.int64).reshape(-1, *[1] * (x.ndim - 2))
    factor = float(np.asarray(x_scale).reshape(())) * channels(w_scale.astype(np.float64), x.ndim - 2)
    return requantised(total * factor, scale, zero)


def conv_transpose(node: Context, x: Array, w: Array, bias: Array | None = None) -> Array:
    """[N, C, …] with [C, M / group, …]; without dilations and output_shape."""
    rank, groups = x.ndim - 2, node.get("group", 1)
    strides, extra = node.get("strides", [1] * rank), node.get("output_padding", [0] * rank)
    pads = node.get("pads", [0] * 2 * rank)
    sizes = zip(x.shape[2:], strides, w.shape[2:], extra, strict=True)
    full = [(size - 1) * stride + width + more for size, stride, width, more in sizes]
    per_group, filters = x.shape[1] // groups, w.shape[1]
    total = np.zeros((x.shape[0], filters * groups, *full))
    for tap in np.ndindex(*w.shape[2:]):
        reach = zip(tap, x.shape[2:], strides, strict=True)
        window = tuple(slice(at, at + (size - 1) * stride + 1, stride) for at, size, stride in reach)
        for group in range(groups):
            inside = slice(group * per_group, (group + 1) * per_group)
            part = np.tensordot(
                x[:, inside].astype(np.float64), w[(inside, slice(None), *tap)].astype(np.float64), (1, 0)
            )
            total[(slice(None), slice(group * filters, (group + 1) * filters), *window)] += np.moveaxis(part, -1, 1)
    cut = tuple(slice(begin, size - end) for begin, end, size in zip(pads[:rank], pads[rank:], full, strict=True))
    total = total[(slice(None), slice(None), *cut)]
    return (total if bias is None else total + bias.reshape(-1, *[1] * rank)).astype(x.dtype)


def matmul(node: Context, a: Array, b: Array) -> Array:
    return np.matmul(a.astype(np.float64), b.astype(np.float64)).astype(a.dtype)


def gemm(node: Context, a: Array, b: Array, c: Array | None = None) -> Array:
    left = a.T if node.get("transA", 0) else a
    right = b.T if node.get("transB", 0) else b
    total = node.get("alpha", 1.0) * np.matmul(left.astype(np.float64), right.astype(np.float64))
    return (total if c is None else total + node.get("beta", 1.0) * c.astype(np.float64)).astype(a.dtype)


OPERATORS: dict[str, Callable[..., Any]] = {
    "QuantizeLinear": quantize_linear,
    "DequantizeLinear": dequantize_linear,
    "DynamicQuantizeLinear": dynamic_quantize_linear,
    "MatMulInteger": matmul_integer,
    "QLinearMatMul": qlinear_matmul,
    "ConvInteger": conv_integer,
    "QLinearConv": qlinear_conv,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "MatMul": matmul,
    "Gemm": gemm,
}
