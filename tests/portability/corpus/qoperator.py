"""The standard's integer operators: QLinearMatMul, MatMulInteger, QLinearConv, ConvInteger, DynamicQuantizeLinear."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from tests.portability.corpus import arithmetic
from tests.portability.corpus.graphs import FLOAT, NEWEST, TYPES, Case, Graph, activations, fitted, weights

A_SCALE, W_SCALE = 0.02, 0.01
K, N = 64, 16
CONVOLUTIONS: dict[str, dict[str, Any]] = {
    "3x3": {"filters": (16, 16, 3, 3), "pads": [1, 1, 1, 1]},
    "1x1": {"filters": (16, 32, 1, 1)},
    "strided": {"filters": (16, 16, 3, 3), "pads": [0, 0, 1, 1], "strides": [2, 2]},
    "dilated": {"filters": (16, 16, 3, 3), "pads": [2, 2, 2, 2], "dilations": [2, 2]},
    "depthwise": {"filters": (16, 1, 3, 3), "pads": [1, 1, 1, 1], "group": 16},
    "grouped": {"filters": (32, 8, 3, 3), "pads": [1, 1, 1, 1], "group": 4},
    "1-D": {"filters": (16, 16, 3), "pads": [1, 1]},
    "same": {"filters": (16, 16, 3, 3), "auto_pad": "SAME_UPPER", "strides": [2, 2]},
}


def middle(kind: str) -> int:
    """The usual zero point of activations."""
    return 0 if kind.startswith("s") else 10


def scales(count: int) -> np.ndarray:
    return np.linspace(0.5, 1.5, count, dtype=np.float32) * np.float32(W_SCALE)


def qlinear_matmul(
    opset: int, kinds: tuple[str, str], per_column: bool, leading: tuple[int, ...] = (4,), **more: Any
) -> Case:
    """kinds: of activations and weights. more: a zero point of the int8 weights."""
    a_kind, w_kind = kinds
    columns = "per column" if per_column else "per tensor"
    extra = "".join(f", {name} {value}" for name, value in more.items())
    rank = f", {len(leading) + 1}-D" if len(leading) > 1 else ""
    g = Graph(f"QLinearMatMul {opset} {a_kind}×{w_kind} {columns}{rank}{extra}", opset)
    a, w = activations(g.random, a_kind, *leading, K), weights(g.random, K, N)
    shape = (N,) if per_column else ()
    w_scale = scales(N) if per_column else np.float32(W_SCALE)
    whole = a.astype(np.int64) - middle(a_kind), w.astype(np.int64) - more.get("zero", 0)
    scale, zero = fitted(whole[0] @ whole[1] * w_scale * A_SCALE, a_kind)
    names = [g.input(a), g.constant(A_SCALE), g.constant(middle(a_kind), a_kind)]
    weight, weight_zero = g.weight(w, w_kind, more.get("zero", 0), shape)
    names += [weight, g.constant(w_scale), weight_zero, g.constant(scale), g.constant(zero, a_kind)]
    g.output(g.node("QLinearMatMul", names), TYPES[a_kind], len(leading) + 1)
    return g.case(step=1)


def matmul_integer(kinds: tuple[str, str], zeros: str, constant: bool = True, leading: tuple[int, ...] = (4,)) -> Case:
    """zeros: "none", "tensor" or "column". constant: the weights are, otherwise they are a graph input."""
    a_kind, w_kind = kinds
    origin = "" if constant else ", weights an input"
    rank = f", {len(leading) + 1}-D" if len(leading) > 1 else ""
    g = Graph(f"MatMulInteger {a_kind}×{w_kind}, zero points: {zeros}{origin}{rank}", 10)
    inputs = [g.input(activations(g.random, a_kind, *leading, K))]
    w = weights(g.random, K, N)
    offset = {"none": None, "tensor": 3, "column": np.arange(N) - 8}[zeros]
    shape = (N,) if zeros == "column" else ()
    a_zero = "" if zeros == "none" else g.constant(middle(a_kind), a_kind)
    if constant:
        # stored as unsigned, values without a zero point are others: there is none to add
        weight, weight_zero = g.weight(w, w_kind, offset, shape)
    else:
        stored = w if w_kind == "s8" else (w.astype(np.int64) + 128).astype(np.uint8)
        shift = 0 if w_kind == "s8" else 128
        weight = g.input(stored)
        weight_zero = "" if offset is None else g.constant(np.broadcast_to(offset, shape) + shift, w_kind)
    inputs += [weight, a_zero, weight_zero]
    g.output(g.node("MatMulInteger", trimmed(inputs)), TYPES["s32"], len(leading) + 1)
    return g.case()


def trimmed(names: list[str]) -> list[str]:
    """Without the optional inputs at the end that are left out."""
    while names and not names[-1]:
        names = names[:-1]
    return names


def qlinear_conv(kinds: tuple[str, str], shape: str, per_channel: bool, opset: int = 10) -> Case:
    """With a bias of int32."""
    a_kind, w_kind = kinds
    options = dict(CONVOLUTIONS[shape])
    filters = options.pop("filters")
    granularity = "per channel" if per_channel else "per tensor"
    g = Graph(f"QLinearConv {opset} {a_kind}×{w_kind} {shape} {granularity}", opset)
    w, x = weights(g.random, *filters), activations(g.random, a_kind, *image(filters, options))
    bias = g.random.integers(-2000, 2000, filters[0])
    w_scale = scales(filters[0]) if per_channel else np.float32(W_SCALE)
    node = arithmetic.Context(opset, options)
    total = arithmetic.convolved(node, x.astype(np.int64) - middle(a_kind), w.astype(np.int64))
    rank = len(filters) - 2
    total = (total + arithmetic.channels(bias, rank)) * arithmetic.channels(w_scale, rank) * A_SCALE
    scale, zero = fitted(total, a_kind)
    names = [g.input(x), g.constant(A_SCALE), g.constant(middle(a_kind), a_kind)]
    weight, weight_zero = g.weight(w, w_kind, 0, (filters[0],) if per_channel else ())
    names += [weight, g.constant(w_scale), weight_zero, g.constant(scale), g.constant(zero, a_kind)]
    g.output(g.node("QLinearConv", [*names, g.constant(bias, "s32")], **options), TYPES[a_kind], 2 + rank)
    return g.case(step=1)


def image(filters: tuple[int, ...], options: dict[str, Any]) -> tuple[int, ...]:
    return (1, filters[1] * options.get("group", 1), *[9] * (len(filters) - 2))


def conv_integer(w_kind: str, shape: str, zeros: bool) -> Case:
    options = dict(CONVOLUTIONS[shape])
    filters = options.pop("filters")
    g = Graph(f"ConvInteger u8×{w_kind} {shape}{', zero points' if zeros else ''}", 10)
    x = g.input(activations(g.random, "u8", *image(filters, options)))
    weight, weight_zero = g.weight(weights(g.random, *filters), w_kind, 0 if zeros else None)
    names = trimmed([x, weight, g.constant(10, "u8") if zeros else "", weight_zero])
    g.output(g.node("ConvInteger", names, **options), TYPES["s32"], len(filters))
    return g.case()


def dynamic(opset: int, w_kind: str, per_column: bool, bias: bool = False, twice: bool = False) -> Case:
    """As quantize_dynamic writes it. twice: two products of one quantized input."""
    columns = "per column" if per_column else "per tensor"
    extra = (", bias" if bias else "") + (", two products" if twice else "")
    g = Graph(f"dynamic {opset} f32×{w_kind} {columns}{extra}", opset)
    x = g.input(g.random.uniform(2.0, 3.0, (4, K)).astype(np.float32))
    steps, scale, zero = g.node("DynamicQuantizeLinear", [x], 3)
    answers = []
    for _ in range(1 + twice):
        w_scale = scales(N) if per_column else np.float32(W_SCALE)
        weight, weight_zero = g.weight(weights(g.random, K, N), w_kind, 0, (N,) if per_column else ())
        total = g.node("MatMulInteger", [steps, weight, zero, weight_zero])
        real = g.node("Cast", [total], to=FLOAT)
        answer = g.node("Mul", [real, g.node("Mul", [scale, g.constant(w_scale)])])
        answers.append(g.node("Add", [answer, g.constant(g.random.normal(0, 1, N))]) if bias else answer)
    for answer in answers:
        g.output(answer, FLOAT, 2)
    return g.case()


def dynamic_conv(w_kind: str) -> Case:
    """A convolution as quantize_dynamic writes it."""
    g = Graph(f"dynamic Conv f32×{w_kind}", 13)
    x = g.input(g.random.uniform(2.0, 3.0, (1, 16, 9, 9)).astype(np.float32))
    steps, scale, zero = g.node("DynamicQuantizeLinear", [x], 3)
    weight, weight_zero = g.weight(weights(g.random, 16, 16, 3, 3), w_kind, 0)
    total = g.node("ConvInteger", [steps, weight, zero, weight_zero], pads=[1, 1, 1, 1])
    factor = g.node("Mul", [scale, g.constant(W_SCALE)])
    g.output(g.node("Mul", [g.node("Cast", [total], to=FLOAT), factor]), FLOAT, 4)
    return g.case()


def cases() -> Iterator[Case]:
    pairs = [("u8", "s8"), ("s8", "s8"), ("u8", "u8")]
    for opset, kinds, per_column in product((10, 21), pairs, (False, True)):
        yield qlinear_matmul(opset, kinds, per_column)
    for opset in (10, 21, NEWEST):
        yield qlinear_matmul(opset, ("u8", "s8"), False, (2, 4))
    yield qlinear_matmul(21, ("u8", "s8"), True, zero=3)
    for kinds, zeros in product([*pairs, ("s8", "u8")], ("none", "tensor", "column")):
        yield matmul_integer(kinds, zeros)
    for kinds in pairs:
        yield matmul_integer(kinds, "tensor", constant=False)
    yield matmul_integer(("u8", "s8"), "none", constant=False)
    yield matmul_integer(("u8", "s8"), "tensor", leading=(2, 3))
    for shape, per_channel in product(CONVOLUTIONS, (False, True)):
        yield qlinear_conv(("u8", "s8"), shape, per_channel)
    for kinds, shape in product((("s8", "s8"), ("u8", "u8")), ("3x3", "1x1", "depthwise", "1-D")):
        yield qlinear_conv(kinds, shape, per_channel=kinds[1] == "s8")
    yield qlinear_conv(("u8", "s8"), "3x3", True, NEWEST)
    for w_kind, shape in product(("s8", "u8"), ("3x3", "depthwise")):
        yield conv_integer(w_kind, shape, zeros=True)
    yield conv_integer("s8", "3x3", zeros=False)
    for opset, w_kind, per_column in product((11, 17, NEWEST), ("s8", "u8"), (False, True)):
        yield dynamic(opset, w_kind, per_column)
    yield dynamic(17, "s8", True, bias=True)
    yield dynamic(17, "s8", False, twice=True)
    yield from (dynamic_conv(w_kind) for w_kind in ("s8", "u8"))
