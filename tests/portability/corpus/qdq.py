"""QuantizeLinear and DequantizeLinear around float operators, which ONNX Runtime fuses into integer ones at load."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from tests.portability.corpus.graphs import FLOAT, HALF, MICROSOFT, NEWEST, Case, Graph, fitted, weights
from tests.portability.corpus.qoperator import A_SCALE, CONVOLUTIONS, W_SCALE, K, N, image, middle, scales

OPSETS = (10, 13, 19, 21, 23, NEWEST)


def near_steps(g: Graph, kind: str, *shape: int) -> np.ndarray:
    """float32 near the ends of what A_SCALE and the kind's usual zero point hold, and never near a tie."""
    high = {"u8": 255, "s8": 127, "u16": 65535, "s16": 32767}[kind]
    steps = g.random.integers(high - high // 4, high, shape) - middle(kind)
    if kind.startswith("s"):
        steps *= np.repeat(g.random.choice([-1, 1], (*shape[:-1], -(-shape[-1] // 8))), 8, axis=-1)[..., : shape[-1]]
    return ((steps + g.random.uniform(-0.3, 0.3, shape)) * step_of(kind)).astype(np.float32)


def step_of(kind: str) -> float:
    return A_SCALE if kind.endswith("8") else A_SCALE / 256


def through(g: Graph, name: str, kind: str, scale: float, zero: int | None, domain: str = "") -> str:
    """Quantized and dequantised again. zero: None leaves the input out."""
    more = [] if zero is None else [g.constant(zero, kind)]
    factor = g.constant(scale)
    steps = g.node("QuantizeLinear", [name, factor, *more], domain=domain)
    return g.node("DequantizeLinear", [steps, factor, *more], domain=domain)


def activation(g: Graph, kind: str, *shape: int, domain: str = "") -> str:
    return through(g, g.input(near_steps(g, kind, *shape)), kind, step_of(kind), middle(kind), domain)


def dequantised(
    g: Graph, values: np.ndarray, kind: str, axis: int | None = None, zero: Any = 0, scale: Any = None, **more: Any
) -> str:
    """Float weights from int8 ones. axis: of one scale for each of its places; None: one for all."""
    shape = (values.shape[axis],) if axis is not None else ()
    factor = scales(shape[0]) if shape else np.float32(W_SCALE)
    weight, offset = g.weight(values, kind, zero, shape)
    names = [weight, g.constant(factor if scale is None else scale, more.pop("scale_type", FLOAT))]
    if axis is not None:
        more["axis"] = axis
    return g.node("DequantizeLinear", names + ([offset] if offset else []), **more)


def bias_of(g: Graph, count: int, w_scale: Any) -> str:
    """int32 steps of activations × weights, dequantised, as the standard's exporters write it."""
    factor = np.asarray(w_scale, np.float32) * np.float32(A_SCALE)
    steps = g.constant(g.random.integers(-3000, 3000, count), "s32")
    zero = g.constant(np.zeros(factor.shape, np.int64), "s32")
    return g.node("DequantizeLinear", [steps, g.constant(factor), zero], **({"axis": 0} if factor.ndim else {}))


def finish(g: Graph, name: str, kind: str, rank: int, quantized: bool = True, domain: str = "") -> Case:
    """With the output in steps that fit it, or as it is."""
    if not quantized:
        g.output(name, FLOAT, rank)
        return g.case(noise=1e-3)
    scale, zero = fitted(g.value(name), kind)
    g.output(through(g, name, kind, scale, zero, domain), FLOAT, rank)
    return g.case(step=scale)


def matmul(
    opset: int, kinds: tuple[str, str], per_column: bool = False, zero: int | None = 0,
    quantized: bool = True, style: str = "", nodes: bool = False,
) -> Case:  # fmt: skip
    """style: "transposed" weights per row behind a Transpose as PyTorch's exporters write it, "Gemm" or "MatMul"."""
    columns = "per column" if per_column else "per tensor"
    extra = ("" if zero is not None else ", no zero point") + ("" if quantized else ", float out")
    extra += ", Constant nodes" if nodes else ""
    name = f"QDQ {style or 'MatMul'} {opset} {kinds[0]}×{kinds[1]} {columns}{extra}"
    g = Graph(name, opset, constants_as_nodes=nodes)
    a = activation(g, kinds[0], 4, K)
    w = weights(g.random, K, N)
    if style:
        w = dequantised(g, np.ascontiguousarray(w.T), kinds[1], 0 if per_column else None, zero)
    else:
        w = dequantised(g, w, kinds[1], 1 if per_column else None, zero)
    if style == "transposed":
        y = g.node("MatMul", [a, g.node("Transpose", [w], perm=[1, 0])])
    elif style == "Gemm":
        y = g.node("Gemm", [a, w, bias_of(g, N, scales(N) if per_column else W_SCALE)], transB=1)
    else:
        y = g.node("MatMul", [a, w])
    return finish(g, y, kinds[0], 2, quantized)


def conv(
    opset: int, kinds: tuple[str, str], shape: str = "3x3", per_channel: bool = False,
    zero: int | None = 0, relu: bool = False, quantized: bool = True,
) -> Case:  # fmt: skip
    granularity = "per channel" if per_channel else "per tensor"
    extra = (", no zero point" if zero is None else "") + (", Relu" if relu else "")
    extra += "" if quantized else ", float out"
    g = Graph(f"QDQ Conv {opset} {kinds[0]}×{kinds[1]} {shape} {granularity}{extra}", opset)
    options = dict(CONVOLUTIONS[shape])
    filters = options.pop("filters")
    x = activation(g, kinds[0], *image(filters, options))
    w = dequantised(g, weights(g.random, *filters), kinds[1], 0 if per_channel else None, zero)
    bias = bias_of(g, filters[0], scales(filters[0]) if per_channel else W_SCALE)
    y = g.node("Conv", [x, w, bias], **options)
    return finish(g, g.node("Relu", [y]) if relu else y, kinds[0], len(filters), quantized)


def conv_transpose(kinds: tuple[str, str], per_channel: bool) -> Case:
    granularity = "per channel" if per_channel else "per tensor"
    g = Graph(f"QDQ ConvTranspose 13 {kinds[0]}×{kinds[1]} {granularity}", 13)
    x = activation(g, kinds[0], 1, 16, 5, 5)
    w = dequantised(g, weights(g.random, 16, 8, 3, 3), kinds[1], 1 if per_channel else None)
    y = g.node("ConvTranspose", [x, w], strides=[2, 2], pads=[1, 1, 0, 0])
    return finish(g, y, kinds[0], 4)


def in_graph(kinds: tuple[str, str], kind: str) -> Case:
    """As tf2onnx writes quantization-aware training: float kernels that the graph quantizes itself."""
    g = Graph(f"QAT {kind} {kinds[0]}×{kinds[1]}, weights quantized in the graph", 13)
    shape = (K, N) if kind == "MatMul" else (16, 16, 3, 3)
    axis, whole = (1, weights(g.random, *shape)) if kind == "MatMul" else (0, weights(g.random, *shape))
    factor = scales(shape[axis])
    wide = factor.reshape([-1 if at == axis else 1 for at in range(len(shape))])
    shifted = kinds[1] == "u8"
    more = [g.constant(factor), g.constant(np.full(shape[axis], 128 if shifted else 0), "u8" if shifted else "s8")]
    steps = g.node("QuantizeLinear", [g.constant(whole * wide), *more], axis=axis)
    w = g.node("DequantizeLinear", [steps, *more], axis=axis)
    x = activation(g, kinds[0], *((4, K) if kind == "MatMul" else (1, 16, 9, 9)))
    y = g.node(kind, [x, w], **({} if kind == "MatMul" else {"auto_pad": "SAME_UPPER"}))
    return finish(g, y, kinds[0], len(shape))


def wide(kind: str, domain: str) -> Case:
    """Activations of 16 bits."""
    opset = 13 if domain else 21
    g = Graph(f"QDQ MatMul {opset} {kind}×s8 {domain or 'ai.onnx'}", opset)
    a = activation(g, kind, 4, K, domain=domain)
    return finish(g, g.node("MatMul", [a, dequantised(g, weights(g.random, K, N), "s8", 1)]), kind, 2, domain=domain)


def halves(opset: int, kinds: tuple[str, str]) -> Case:
    """Scales of float16, hence a product in float16."""
    g = Graph(f"QDQ MatMul {opset} {kinds[0]}×{kinds[1]}, float16", opset)
    scale, zero = g.constant(A_SCALE, HALF), g.constant(middle(kinds[0]), kinds[0])
    x = g.input(near_steps(g, kinds[0], 4, K).astype(np.float16))
    a = g.node("DequantizeLinear", [g.node("QuantizeLinear", [x, scale, zero]), scale, zero])
    w = dequantised(g, weights(g.random, K, N), kinds[1], None, 0, W_SCALE, scale_type=HALF)
    y = g.node("MatMul", [a, w])
    step, offset = fitted(g.value(y).astype(np.float64), kinds[0])
    more = [g.constant(step, HALF), g.constant(offset, kinds[0])]
    answer = g.node("DequantizeLinear", [g.node("QuantizeLinear", [y, *more]), *more])
    g.output(g.node("Cast", [answer], to=FLOAT), FLOAT, 2)
    return g.case(step=step * 1.01, noise=5e-3)


def both_sides(kinds: tuple[str, str]) -> Case:
    """A product of two activations, as in attention: the right one signed."""
    g = Graph(f"QDQ MatMul 13 of two inputs {kinds[0]}×{kinds[1]}", 13)
    a = activation(g, kinds[0], 2, 4, K)
    b = activation(g, kinds[1], 2, K, N)
    return finish(g, g.node("MatMul", [a, b]), kinds[0], 3)


def pointwise(operator: str, kind: str, inputs: int, **attributes: Any) -> Case:
    """Operators that multiply no pairs: right everywhere."""
    g = Graph(f"QDQ {operator} 13 {kind}", 13)
    names = [activation(g, kind, 1, 8, 8, 8) for _ in range(inputs)]
    return finish(g, g.node(operator, names, **attributes), kind, 4)


def network(kinds: tuple[str, str]) -> Case:
    """Two layers with a Relu and a clipped range between them: what saturates first is squared after."""
    g = Graph(f"QDQ two layers 13 {kinds[0]}×{kinds[1]}", 13)
    y = g.node("MatMul", [activation(g, kinds[0], 4, K), dequantised(g, weights(g.random, K, 32), kinds[1], 1)])
    y = g.node("Relu", [y])
    y = through(g, y, kinds[0], *fitted(g.value(y), kinds[0]))
    y = g.node("MatMul", [y, dequantised(g, weights(g.random, 32, N), kinds[1], 1)])
    return finish(g, y, kinds[0], 2)


def cases() -> Iterator[Case]:
    pairs = [("u8", "s8"), ("s8", "s8"), ("u8", "u8"), ("s8", "u8")]
    for opset, per_column in product(OPSETS, (False, True)):
        if opset >= 13 or not per_column:
            yield matmul(opset, ("u8", "s8"), per_column)
            yield matmul(opset, ("s8", "s8"), per_column)
    for kinds, per_column in product(pairs[2:], (False, True)):
        yield matmul(13, kinds, per_column)
    for kinds, per_column, opset in product(pairs[:2], (False, True), (13, 21)):
        yield matmul(opset, kinds, per_column, zero=None)
        yield matmul(opset, kinds, per_column, quantized=False)
    for kinds, style in product(pairs[:3], ("transposed", "Gemm")):
        yield matmul(18, kinds, True, style=style)
    yield matmul(18, ("u8", "s8"), False, style="Gemm")
    yield matmul(18, ("s8", "s8"), True, zero=None, style="transposed")
    yield matmul(18, ("u8", "s8"), True, quantized=False, style="Gemm")
    yield matmul(13, ("u8", "s8"), True, nodes=True)
    for kinds, shape, per_channel in product(pairs[:2], ("3x3", "1x1", "depthwise", "1-D"), (False, True)):
        yield conv(13, kinds, shape, per_channel)
    for opset, kinds in product((10, 19, 21, NEWEST), pairs[:3]):
        yield conv(opset, kinds, relu=True)
    for kinds in pairs[:2]:
        yield conv(13, kinds, per_channel=True, zero=None)
        yield conv(13, kinds, per_channel=True, quantized=False)
        yield from (conv_transpose(kinds, per_channel) for per_channel in (False, True))
        yield from (in_graph(kinds, kind) for kind in ("MatMul", "Conv"))
        yield halves(19, kinds)
        yield network(kinds)
    yield from (wide(kind, domain) for kind, domain in product(("u16", "s16"), ("", MICROSOFT)))
    yield from (both_sides(kinds) for kinds in pairs[:3])
    for operator, count in (("Add", 2), ("Mul", 2), ("Sigmoid", 1), ("Softmax", 1), ("GlobalAveragePool", 1)):
        yield pointwise(operator, "u8", count)
    yield pointwise("Concat", "s8", 2, axis=1)
    yield pointwise("AveragePool", "u8", 1, kernel_shape=[2, 2], strides=[2, 2])
    yield pointwise("MaxPool", "u8", 1, kernel_shape=[2, 2], strides=[2, 2])
