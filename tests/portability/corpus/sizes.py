"""The same products in sizes that choose another kernel: one row, odd sides, one column, long sums, many channels."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from tests.portability.corpus.graphs import FLOAT, TYPES, Case, Graph, activations, fitted, weights
from tests.portability.corpus.qdq import dequantised, finish, near_steps, step_of, through
from tests.portability.corpus.qoperator import A_SCALE, W_SCALE, middle

SIZES = ((1, 64, 16), (1, 64, 1), (3, 37, 5), (33, 64, 32), (4, 520, 16), (5, 6, 7), (2, 2, 2))  # rows, summed, columns


def integer(kinds: tuple[str, str], size: tuple[int, int, int]) -> Case:
    rows, inner, outer = size
    g = Graph(f"MatMulInteger {kinds[0]}×{kinds[1]} of {rows}×{inner}×{outer}", 10)
    weight, zero = g.weight(weights(g.random, inner, outer), kinds[1], 0)
    a = g.input(activations(g.random, kinds[0], rows, inner))
    y = g.node("MatMulInteger", [a, weight, g.constant(middle(kinds[0]), kinds[0]), zero])
    g.output(y, TYPES["s32"], 2)
    return g.case()


def qdq(kinds: tuple[str, str], size: tuple[int, int, int]) -> Case:
    rows, inner, outer = size
    g = Graph(f"QDQ MatMul 13 {kinds[0]}×{kinds[1]} of {rows}×{inner}×{outer}", 13)
    x = g.input(near_steps(g, kinds[0], rows, inner))
    a = through(g, x, kinds[0], step_of(kinds[0]), middle(kinds[0]))
    return finish(g, g.node("MatMul", [a, dequantised(g, weights(g.random, inner, outer), kinds[1], 1)]), kinds[0], 2)


def convolution(kinds: tuple[str, str], filters: tuple[int, ...], side: int, zero: int = 0) -> Case:
    """zero: of the int8 weights; 0 chooses kernels for symmetric ones, where a processor has some."""
    named = "×".join(map(str, filters))
    offset = f", zero {zero}" if zero else ""
    g = Graph(f"QLinearConv 10 {kinds[0]}×{kinds[1]} {named} on {side}×{side}{offset}", 10)
    x, w = activations(g.random, kinds[0], 2, filters[1], side, side), weights(g.random, *filters)
    weight, weight_zero = g.weight(w, kinds[1], zero)
    a, point = g.input(x), g.constant(middle(kinds[0]), kinds[0])
    names = [g.node("Identity", [a]), g.constant(A_SCALE), point, weight, g.constant(W_SCALE), weight_zero]
    real = Graph(g.name, 13)  # what the outputs have to hold
    total = real.node(
        "Conv", [real.input((x.astype(np.float32) - middle(kinds[0])), "x"), real.constant(w - float(zero))]
    )
    scale, output_zero = fitted(real.value(total) * A_SCALE * W_SCALE, kinds[0])
    y = g.node("QLinearConv", [*names, g.constant(scale), g.constant(output_zero, kinds[0])])
    g.output(y, TYPES[kinds[0]], 4)
    return g.case(step=1)


def dynamic(size: tuple[int, int, int]) -> Case:
    rows, inner, outer = size
    g = Graph(f"dynamic 17 f32×s8 of {rows}×{inner}×{outer}", 17)
    x = g.input(g.random.uniform(2.0, 3.0, (rows, inner)).astype(np.float32))
    steps, scale, zero = g.node("DynamicQuantizeLinear", [x], 3)
    weight, weight_zero = g.weight(weights(g.random, inner, outer), "s8", 0)
    real = g.node("Cast", [g.node("MatMulInteger", [steps, weight, zero, weight_zero])], to=FLOAT)
    g.output(g.node("Mul", [real, g.node("Mul", [scale, g.constant(W_SCALE)])]), FLOAT, 2)
    return g.case()


def cases() -> Iterator[Case]:
    pairs = (("u8", "s8"), ("s8", "s8"))
    for size, kinds in product(SIZES, pairs):
        yield integer(kinds, size)
        yield qdq(kinds, size)
    yield from (dynamic(size) for size in SIZES)
    for kinds in pairs:
        yield convolution(kinds, (64, 64, 1, 1), 4)
        yield convolution(kinds, (32, 64, 3, 3), 5)
        yield convolution(kinds, (5, 3, 3, 3), 6)
        yield convolution(kinds, (16, 16, 3, 3), 5, zero=4)
