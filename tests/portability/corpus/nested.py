"""Quantized nodes that a rewriting easily misses: branches, loops, functions, shared tables, weights as inputs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from onnx import TensorProto, helper

from tests.portability.corpus.graphs import FLOAT, TYPES, Case, Graph, activations, fitted, weights
from tests.portability.corpus.qdq import activation, dequantised, finish
from tests.portability.corpus.qoperator import A_SCALE, W_SCALE, K, N, scales


def branch(outside: bool, quantized: bool) -> Case:
    """outside: the branch takes its weights from the graph around it. quantized: QDQ, otherwise MatMulInteger."""
    kind = "QDQ MatMul" if quantized else "MatMulInteger"
    g = Graph(f"If with {kind}, weights {'outside' if outside else 'inside'}", 13)
    choice = g.input(np.array(True), "choice")
    x = g.input(activations(g.random, "u8", 4, K))
    inner = Graph(g.name, 13, prefix="inner_")
    home = g if outside else inner
    weight, zero = home.weight(weights(g.random, K, N), "s8", 0)
    if quantized:
        scale, point = inner.constant(A_SCALE), inner.constant(10, "u8")
        a = inner.node("DequantizeLinear", [x, scale, point])
        w = inner.node("DequantizeLinear", [weight, inner.constant(W_SCALE), zero])
        y = inner.node("MatMul", [a, w])
    else:
        y = inner.node("Cast", [inner.node("MatMulInteger", [x, weight, "", zero])], to=FLOAT)
    inner.outputs.append(helper.make_tensor_value_info(y, FLOAT, None))
    other = Graph(g.name, 13)
    other.nodes.append(helper.make_node("Cast", [x], ["cast"], to=FLOAT))
    other.outputs.append(helper.make_tensor_value_info("cast", FLOAT, None))
    answer = g.node("If", [choice], then_branch=inner.graph(), else_branch=other.graph())
    g.output(answer, FLOAT, 2)
    return g.case(noise=1e-3)


def loop() -> Case:
    """A product in each turn, with weights outside of the loop."""
    g = Graph("Loop with MatMulInteger, weights outside", 13)
    x = g.input(activations(g.random, "u8", 4, K))
    weight, zero = g.weight(weights(g.random, K, N), "s8", 0)
    total, trips = g.constant(np.zeros((4, N), np.int64), "s32"), g.constant(3, TensorProto.INT64)
    body = helper.make_graph(
        [
            helper.make_node("MatMulInteger", [x, weight, "", zero], ["part"]),
            helper.make_node("Add", ["sum", "part"], ["next"]),
            helper.make_node("Identity", ["going"], ["on"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("sum", TensorProto.INT32, [4, N]),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.INT32, [4, N]),
        ],
    )
    g.output(g.node("Loop", [trips, "", total], body=body), TYPES["s32"], 2)
    return g.case()


def function(quantized: bool) -> Case:
    """A function of the model's own; its weights are inputs of it, as PyTorch's exporter writes modules."""
    kind = "QDQ MatMul" if quantized else "MatMulInteger"
    g = Graph(f"function with {kind}", 18)
    x = g.input(activations(g.random, "u8", 4, K))
    weight, zero = g.weight(weights(g.random, K, N), "s8", 0)
    if quantized:
        nodes = [
            helper.make_node("DequantizeLinear", ["x", "xs", "xz"], ["a"]),
            helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["b"]),
            helper.make_node("MatMul", ["a", "b"], ["y"]),
        ]
        inputs = ["x", "xs", "xz", "w", "ws", "wz"]
        names = [x, g.constant(A_SCALE), g.constant(10, "u8"), weight, g.constant(W_SCALE), zero]
    else:
        nodes = [helper.make_node("MatMulInteger", ["x", "w", "", "wz"], ["y"])]
        inputs, names = ["x", "w", "wz"], [x, weight, zero]
    g.functions.append(helper.make_function("own", "linear", inputs, ["y"], nodes, [helper.make_opsetid("", 18)]))
    g.output(g.node("linear", names, domain="own"), FLOAT if quantized else TYPES["s32"], 2)
    return g.case(noise=1e-3)


def tied(kind: str, zero: int | None = 0) -> Case:
    """One quantized table for the embedding (Gather) and, transposed, for the output's product."""
    g = Graph(f"table of {kind} tied by Gather and MatMul{'' if zero is not None else ', no zero point'}", 13)
    ids = g.input(np.array([[3, 1, 7, 30]], np.int64))
    weight, offset = g.weight(weights(g.random, 32, K), kind, zero, (32,))
    names = [weight, g.constant(scales(32)), *([offset] if offset else [])]
    w = g.node("DequantizeLinear", names, axis=0)
    embedded = g.node("Gather", [w, ids])
    g.output(embedded, FLOAT, 3)
    hidden = g.node("Relu", [embedded])
    y = g.node("MatMul", [hidden, g.node("Transpose", [w], perm=[1, 0])])
    g.output(y, FLOAT, 3)
    return g.case(noise=1e-5)


def twice(kinds: tuple[str, str]) -> Case:
    """One DequantizeLinear of weights, two products."""
    g = Graph(f"QDQ weights {kinds[0]}×{kinds[1]} used twice", 13)
    w = dequantised(g, weights(g.random, K, N), kinds[1], 1)
    first = g.node("MatMul", [activation(g, kinds[0], 4, K), w])
    second = g.node("MatMul", [activation(g, kinds[0], 2, K), w])
    for y in (first, second):
        scale, zero = fitted(g.value(y), kinds[0])
        factor, point = g.constant(scale), g.constant(zero, kinds[0])
        steps = g.node("QuantizeLinear", [y, factor, point])
        g.output(g.node("DequantizeLinear", [steps, factor, point]), FLOAT, 2)
    return g.case(step=scale * 2)


def as_input(kinds: tuple[str, str]) -> Case:
    """Weights that come with the call, already quantized."""
    g = Graph(f"QDQ MatMul 13 {kinds[0]}×{kinds[1]}, weights an input", 13)
    a = activation(g, kinds[0], 4, K)
    values = weights(g.random, K, N)
    stored = values if kinds[1] == "s8" else (values.astype(np.int64) + 128).astype(np.uint8)
    zero = g.constant(0 if kinds[1] == "s8" else 128, kinds[1])
    w = g.node("DequantizeLinear", [g.input(stored), g.constant(W_SCALE), zero])
    return finish(g, g.node("MatMul", [a, w]), kinds[0], 2)


def cases() -> Iterator[Case]:
    yield from (branch(outside, quantized) for outside, quantized in product((True, False), (True, False)))
    yield loop()
    yield from (function(quantized) for quantized in (True, False))
    yield from (tied(kind) for kind in ("s8", "u8"))
    yield tied("s8", zero=None)
    yield from (twice(kinds) for kinds in (("u8", "s8"), ("s8", "s8"), ("u8", "u8")))
    yield from (as_input(kinds) for kinds in (("u8", "s8"), ("s8", "s8"), ("u8", "u8")))
