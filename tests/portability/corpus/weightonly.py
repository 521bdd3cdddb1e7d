"""Weights alone are quantized: MatMulNBits, and DequantizeLinear of a constant, which ONNX Runtime fuses into it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from tests.portability.corpus.graphs import FLOAT, HALF, MICROSOFT, NEWEST, SPAN, Case, Graph
from tests.portability.corpus.qoperator import W_SCALE, K, N, trimmed

# What a product of float32 may differ by. An integer activation differs by 1 % and more.
FLOAT_NOISE = 1e-5
INTEGER_NOISE = 3e-2  # of accuracy level 4, by which a model itself allows int8 activations


def uneven(g: Graph, *shape: int) -> np.ndarray:
    """float32 activations with one large value in each block of 16: steps of int8 are coarse for the others."""
    values = g.random.normal(0, 1, shape)
    values[..., ::16] *= 40
    return values.astype(np.float32)


def weight_steps(g: Graph, kind: str) -> tuple[np.ndarray, int]:
    """Stored values and the middle of the range: unsigned ones need it as their zero point."""
    low, high = SPAN[kind]
    values = g.random.integers(low, high + 1, (K, N))
    return values, 0 if low < 0 else (high + 1) // 2


def dequantized(
    kind: str, granularity: str, operator: str = "MatMul", opset: int = 21, zero: bool = True,
    nodes: bool = False, half: bool = False,
) -> Case:  # fmt: skip
    """granularity: "tensor", "column" or "block" of 16 along the summed axis."""
    extra = ("" if zero else ", no zero point") + (", Constant nodes" if nodes else "") + (", float16" if half else "")
    g = Graph(f"weights {kind} per {granularity} {operator} {opset}{extra}", opset, constants_as_nodes=nodes)
    values, offset = weight_steps(g, kind)
    shape = {"tensor": (), "column": (N,), "block": (K // 16, N)}[granularity]
    factor = g.random.uniform(0.5, 1.5, shape) * W_SCALE
    names = [g.constant(values, kind), g.constant(factor, HALF if half else FLOAT)]
    if zero:
        names.append(g.constant(np.full(shape, offset), kind))
    more = {"column": {"axis": 1}, "block": {"axis": 0, "block_size": 16}}.get(granularity, {})
    x = g.input(uneven(g, 4, K).astype(np.float16 if half else np.float32))
    w = g.node("DequantizeLinear", names, **more)
    if operator == "Gemm":
        y = g.node("Gemm", [x, w, g.constant(g.random.normal(0, 1, N))])
    else:
        y = g.node("MatMul", [x, w])
    g.output(g.node("Cast", [y], to=FLOAT) if half else y, FLOAT, 2)
    return g.case(noise=2e-3 if half else FLOAT_NOISE)


def transposed(kind: str, opset: int = 21) -> Case:
    """Weights per row behind a Transpose, as PyTorch's exporters write a Linear."""
    g = Graph(f"weights {kind} per row, transposed {opset}", opset)
    values, offset = weight_steps(g, kind)
    factor = g.constant(g.random.uniform(0.5, 1.5, N) * W_SCALE)
    zero = g.constant(np.full(N, offset), kind)
    w = g.node("DequantizeLinear", [g.constant(values.T, kind), factor, zero], axis=0)
    y = g.node("MatMul", [g.input(uneven(g, 4, K)), g.node("Transpose", [w], perm=[1, 0])])
    g.output(y, FLOAT, 2)
    return g.case(noise=FLOAT_NOISE)


def matmul_nbits(bits: int, block: int, level: int, zero: str = "none", bias: bool = False, rows: int = 4) -> Case:
    """zero: "none", "packed" or "float"."""
    extra = ("" if zero == "none" else f", {zero} zero points") + (", bias" if bias else "")
    g = Graph(f"MatMulNBits {bits} bits, blocks of {block}, level {level}, {rows} rows{extra}", 17)
    inner, blocks = 64, -(-64 // block)
    packed = g.random.integers(0, 256, (N, blocks, block * bits // 8)).astype(np.uint8)
    scales = g.random.uniform(0.5, 1.5, (N, blocks)) * W_SCALE
    names = [g.input(uneven(g, rows, inner)), g.constant(packed, "u8"), g.constant(scales)]
    if zero == "packed":
        names.append(g.constant(g.random.integers(0, 256, (N, -(-blocks * bits // 8))), "u8"))
    elif zero == "float":
        names.append(g.constant(g.random.uniform(0, 1 << bits, (N, blocks))))
    else:
        names.append("")
    names += ["", g.constant(g.random.normal(0, 1, N)) if bias else ""]
    more = {"K": inner, "N": N, "bits": bits, "block_size": block, "accuracy_level": level}
    g.output(g.node("MatMulNBits", trimmed(names), domain=MICROSOFT, **more), FLOAT, 2)
    return g.case(noise=INTEGER_NOISE if level == 4 else FLOAT_NOISE)


def table(bits: int) -> Case:
    """An embedding of 4 or 8 bits: looked up, not multiplied."""
    g = Graph(f"GatherBlockQuantized {bits} bits", 21)
    data = g.random.integers(0, 256, (20, 32 * bits // 8)).astype(np.uint8)
    names = [g.constant(data, "u8"), g.input(np.array([[3, 1], [0, 19]], np.int64))]
    names.append(g.constant(g.random.uniform(0.5, 1.5, (20, 2))))
    more = {"bits": bits, "block_size": 16, "quantize_axis": 1, "gather_axis": 0}
    g.output(g.node("GatherBlockQuantized", names, domain=MICROSOFT, **more), FLOAT, 3)
    return g.case()


def cases() -> Iterator[Case]:
    for kind, granularity in product(("s4", "u4", "s8", "u8"), ("tensor", "column", "block")):
        yield dequantized(kind, granularity)
    for kind in ("s4", "u8", "s8"):
        yield dequantized(kind, "column", "Gemm")
        yield dequantized(kind, "block", opset=NEWEST)
        yield transposed(kind)
    for kind, granularity in product(("s4", "s8"), ("column", "block")):
        yield dequantized(kind, granularity, zero=False)
    yield dequantized("s8", "column", opset=13)
    yield dequantized("u8", "tensor", opset=13)
    yield dequantized("s8", "tensor", opset=10)
    yield dequantized("s4", "block", nodes=True)
    yield dequantized("s8", "column", half=True)
    for bits, level in product((4, 8), range(5)):
        yield matmul_nbits(bits, 32, level)
    for bits, level in product((4, 8), (0, 4)):
        yield matmul_nbits(bits, 16, level, "packed")
    yield matmul_nbits(4, 16, 0, "float")  # with 8 bits ONNX Runtime has none
    yield matmul_nbits(4, 64, 0, "packed", bias=True)
    yield matmul_nbits(2, 32, 0)
    for bits, rows in product((4, 8), (1, 32)):
        yield matmul_nbits(bits, 32, 4, "packed", rows=rows)
    yield table(4)
    yield table(8)
