"""ONNX Runtime's own operators (com.microsoft), as its quantiser, its transformer tools and Optimum write them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from tests.portability.corpus.graphs import FLOAT, MICROSOFT, TYPES, Case, Graph, activations, fitted, weights
from tests.portability.corpus.qoperator import A_SCALE, CONVOLUTIONS, W_SCALE, K, N, image, middle, scales, trimmed

PAIRS = (("u8", "s8"), ("s8", "s8"), ("u8", "u8"))


def columns_of(per_column: bool) -> tuple[str, Any, tuple[int, ...]]:
    return ("per column", scales(N), (N,)) if per_column else ("per tensor", np.float32(W_SCALE), ())


def dynamic_quantize_matmul(w_kind: str, per_column: bool, bias: bool, zero: int | None = 0) -> Case:
    columns, scale, shape = columns_of(per_column)
    extra = (", bias" if bias else "") + ("" if zero is not None else ", no zero point")
    g = Graph(f"DynamicQuantizeMatMul f32×{w_kind} {columns}{extra}", 17)
    x = g.input(g.random.uniform(2.0, 3.0, (4, K)).astype(np.float32))
    weight, offset = g.weight(weights(g.random, K, N), w_kind, zero, shape)
    last = g.constant(g.random.normal(0, 1, N)) if bias else ""
    names = trimmed([x, weight, g.constant(scale), offset, last])
    g.output(g.node("DynamicQuantizeMatMul", names, domain=MICROSOFT), FLOAT, 2)
    return g.case()


def integer_to_float(kinds: tuple[str, str], per_column: bool, bias: bool = True) -> Case:
    columns, scale, shape = columns_of(per_column)
    g = Graph(f"MatMulIntegerToFloat {kinds[0]}×{kinds[1]} {columns}{', bias' if bias else ''}", 17)
    a = g.input(activations(g.random, kinds[0], 4, K))
    weight, offset = g.weight(weights(g.random, K, N), kinds[1], 0, shape)
    names = [a, weight, g.constant(A_SCALE), g.constant(scale), g.constant(middle(kinds[0]), kinds[0]), offset]
    names += [g.constant(g.random.normal(0, 1, N))] if bias else []
    g.output(g.node("MatMulIntegerToFloat", names, domain=MICROSOFT), FLOAT, 2)
    return g.case()


def qgemm(kinds: tuple[str, str], per_column: bool, quantized: bool, turned: bool = False) -> Case:
    """turned: with transB, which ONNX Runtime's quantiser writes for a Gemm of PyTorch."""
    columns, scale, shape = columns_of(per_column)
    extra = ("" if quantized else ", float out") + (", transB" if turned else "")
    g = Graph(f"QGemm {kinds[0]}×{kinds[1]} {columns}{extra}", 17)
    a, w = activations(g.random, kinds[0], 4, K), weights(g.random, K, N)
    bias = g.random.integers(-3000, 3000, N)
    total = ((a.astype(np.int64) - middle(kinds[0])) @ w.astype(np.int64) + bias) * scale * A_SCALE
    weight, offset = g.weight(np.ascontiguousarray(w.T) if turned else w, kinds[1], 0, shape)
    names = [g.input(a), g.constant(A_SCALE), g.constant(middle(kinds[0]), kinds[0])]
    names += [weight, g.constant(scale), offset, g.constant(bias, "s32")]
    if quantized:
        step, zero = fitted(total, kinds[0])
        names += [g.constant(step), g.constant(zero, kinds[0])]
    y = g.node("QGemm", names, domain=MICROSOFT, transB=int(turned))
    g.output(y, TYPES[kinds[0]] if quantized else FLOAT, 2)
    return g.case(step=1 if quantized else 0)


def last_channels_conv(kinds: tuple[str, str], shape: str) -> Case:
    """com.microsoft's QLinearConv with its channels last, which ONNX Runtime's own optimizer writes."""
    options = dict(CONVOLUTIONS[shape])
    filters = options.pop("filters")
    g = Graph(f"QLinearConv channels last {kinds[0]}×{kinds[1]} {shape}", 17)
    x = activations(g.random, kinds[0], *image(filters, options))
    x = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    weight, offset = g.weight(weights(g.random, *filters), kinds[1], 0, (filters[0],))
    names = [g.input(x), g.constant(A_SCALE), g.constant(middle(kinds[0]), kinds[0])]
    names += [weight, g.constant(scales(filters[0])), offset]
    names += [g.constant(3.0), g.constant(120 if kinds[0] == "u8" else 0, kinds[0])]
    y = g.node("QLinearConv", names, domain=MICROSOFT, channels_last=1, **options)
    g.output(y, TYPES[kinds[0]], len(filters))
    return g.case(step=1)


def qattention(kinds: tuple[str, str], per_column: bool, one_way: bool) -> Case:
    size = 32
    granularity = "per column" if per_column else "per tensor"
    g = Graph(f"QAttention {kinds[0]}×{kinds[1]} {granularity}{', unidirectional' if one_way else ''}", 17)
    x = g.input(activations(g.random, kinds[0], 2, 6, size))
    shape = (3 * size,) if per_column else ()
    weight, offset = g.weight(weights(g.random, size, 3 * size), kinds[1], 0, shape)
    w_scale = np.linspace(5e-4, 1e-3, 3 * size) if per_column else 1e-3
    names = [x, weight, g.constant(g.random.normal(0, 0.1, 3 * size)), g.constant(A_SCALE), g.constant(w_scale)]
    names += ["" if one_way else g.constant([6, 4], "s32"), g.constant(middle(kinds[0]), kinds[0]), offset]
    y = g.node("QAttention", names, domain=MICROSOFT, num_heads=4, unidirectional=int(one_way))
    g.output(y, FLOAT, 3)
    return g.case(noise=1e-3)


def lstm(w_kind: str, per_column: bool, directions: int = 1) -> Case:
    """Inputs and state are quantized on the way, which is part of the operator's meaning."""
    size, hidden = 32, 16
    granularity = "per column" if per_column else "per tensor"
    g = Graph(f"DynamicQuantizeLSTM f32×{w_kind} {granularity}{', both ways' if directions > 1 else ''}", 17)
    x = g.input(g.random.uniform(0.5, 1.0, (5, 3, size)).astype(np.float32))
    names, tails = [x], []
    shape = (directions, 4 * hidden) if per_column else (directions,)
    for width in (size, hidden):
        whole = np.stack([weights(g.random, width, 4 * hidden) for _ in range(directions)])
        weight, offset = g.weight(whole, w_kind, 0, shape)
        names.append(weight)
        tails += [g.constant(np.full(shape, 8e-4)), offset]
    names += [g.constant(g.random.normal(0, 0.1, (directions, 8 * hidden))), "", "", "", "", *tails]
    more = {"direction": "bidirectional"} if directions > 1 else {}
    names = g.node("DynamicQuantizeLSTM", names, 3, MICROSOFT, hidden_size=hidden, **more)
    for name, rank in zip(names, (4, 3, 3), strict=True):
        g.output(name, FLOAT, rank)
    return g.case(noise=5e-3)


def embedding(kind: str) -> Case:
    """Tables that are looked up: nothing is multiplied."""
    size = 32
    g = Graph(f"QEmbedLayerNormalization {kind}", 17)
    ids = g.input(g.random.integers(0, 20, (2, 6)).astype(np.int32))
    kinds = g.input(g.random.integers(0, 2, (2, 6)).astype(np.int32))
    mask = g.input(np.ones((2, 6), np.int32))
    tables = [weights(g.random, rows, size) for rows in (20, 8, 2)] + [weights(g.random, 1, size)[0] for _ in range(2)]
    pairs = [g.weight(table, kind, 0) for table in tables]
    names = [ids, kinds, *(pair[0] for pair in pairs), mask]
    names += [g.constant(W_SCALE) for _ in pairs] + [pair[1] for pair in pairs]
    answer, _ = g.node("QEmbedLayerNormalization", names, 2, MICROSOFT, epsilon=1e-5)
    g.output(answer, FLOAT, 3)
    return g.case()


def pointwise(kind: str, operator: str, inputs: int, order: str = "", **attributes: Any) -> Case:
    """Operators that multiply no pairs: right everywhere. order: "first" where the output's scale comes first."""
    g = Graph(f"{operator} {kind}", 17)
    triples = []
    for _ in range(inputs):
        x = g.input(activations(g.random, kind, 1, 8, 8, 8))
        triples += [x, g.constant(A_SCALE), g.constant(middle(kind), kind)]
    output = [g.constant(0.05), g.constant(middle(kind), kind)]
    names = output + triples if order == "first" else triples + output
    g.output(g.node(operator, names, domain=MICROSOFT, **attributes), TYPES[kind], 4)
    return g.case(step=1)


def cases() -> Iterator[Case]:
    for w_kind, per_column, bias in product(("s8", "u8"), (False, True), (False, True)):
        yield dynamic_quantize_matmul(w_kind, per_column, bias)
    yield dynamic_quantize_matmul("s8", True, False, zero=None)
    for kinds, per_column in product(PAIRS, (False, True)):
        yield integer_to_float(kinds, per_column)
        yield qgemm(kinds, per_column, quantized=True)
    yield qgemm(("u8", "s8"), True, quantized=False)
    yield qgemm(("u8", "s8"), True, quantized=True, turned=True)
    for kinds, shape in product(PAIRS, ("3x3", "depthwise")):
        yield last_channels_conv(kinds, shape)
    for kinds in (("u8", "s8"), ("u8", "u8")):
        yield qattention(kinds, False, False)
        yield qattention(kinds, True, True)
    for w_kind, per_column in product(("s8", "u8"), (False, True)):
        yield lstm(w_kind, per_column)
    yield lstm("s8", False, directions=2)
    yield embedding("u8")
    yield embedding("s8")
    for kind in ("u8", "s8"):
        yield pointwise(kind, "QLinearAdd", 2)
        yield pointwise(kind, "QLinearMul", 2)
        yield pointwise(kind, "QLinearSigmoid", 1)
        yield pointwise(kind, "QLinearLeakyRelu", 1, alpha=0.1)
    yield pointwise("u8", "QLinearGlobalAveragePool", 1)
    yield pointwise("u8", "QLinearAveragePool", 1, kernel_shape=[2, 2], strides=[2, 2])
    yield pointwise("u8", "QLinearConcat", 2, "first", axis=1)
    yield pointwise("u8", "QLinearSoftmax", 1, axis=-1, opset=13)
