"""The ways by which a weight or an activation reaches a product: what a rewriting has to follow, or to leave alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from tests.portability.corpus.graphs import FLOAT, MICROSOFT, TYPES, Case, Graph, activations, fitted, weights
from tests.portability.corpus.qdq import activation, dequantised, finish, through
from tests.portability.corpus.qoperator import A_SCALE, W_SCALE, K, N, middle


def left_constant(kinds: tuple[str, str]) -> Case:
    """Weights × activations, as exporters write it where channels come first."""
    g = Graph(f"QDQ MatMul 13 of weights {kinds[1]} × {kinds[0]}", 13)
    w = dequantised(g, np.ascontiguousarray(weights(g.random, K, N).T), kinds[1], None)
    return finish(g, g.node("MatMul", [w, activation(g, kinds[0], K, 6)]), kinds[0], 2)


def left_constant_integer(kind: str) -> Case:
    g = Graph(f"MatMulInteger of weights s8 × {kind}", 10)
    weight, zero = g.weight(np.ascontiguousarray(weights(g.random, K, N).T), "s8", 0)
    right = g.input(activations(g.random, kind, K, 6))
    g.output(g.node("MatMulInteger", [weight, right, zero, g.constant(middle(kind), kind)]), TYPES["s32"], 2)
    return g.case()


def behind(kinds: tuple[str, str], name: str, **attributes: Any) -> Case:
    """An operator between the activation's DequantizeLinear and the convolution."""
    g = Graph(f"QDQ Conv 13 {kinds[0]}×{kinds[1]} behind {name}", 13)
    x = g.node(name, [activation(g, kinds[0], 1, 16, 9, 9)], **attributes)
    w = dequantised(g, weights(g.random, 16, 16, 3, 3), kinds[1], 0)
    return finish(g, g.node("Conv", [x, w], pads=[1, 1, 1, 1]), kinds[0], 4)


def split(opset: int) -> Case:
    """One table of int8, split into three weights of integer products."""
    g = Graph(f"MatMulInteger {opset} of a table that is split", opset)
    a = g.input(activations(g.random, "u8", 4, K))
    weight, zero = g.weight(weights(g.random, K, 3 * N), "s8", 0)
    parts = g.node("Split", [weight], 3, axis=1, **({"num_outputs": 3} if opset >= 18 else {}))
    for part in parts:
        g.output(g.node("MatMulInteger", [a, part, "", zero]), TYPES["s32"], 2)
    return g.case()


def joined(operator: str) -> Case:
    """int8 weights through an operator that only moves them."""
    g = Graph(f"MatMulInteger 13 of weights behind {operator}", 13)
    a = g.input(activations(g.random, "u8", 4, K))
    w = weights(g.random, K, N)
    if operator == "Concat":
        halves = [g.weight(half, "s8", 0) for half in (w[:, :8], w[:, 8:])]
        moved, zero = g.node("Concat", [half[0] for half in halves], axis=1), halves[0][1]
    elif operator == "Gather":
        weight, zero = g.weight(w, "s8", 0)
        moved = g.node("Gather", [weight, g.constant([3, 1, 2, 0], TensorProto.INT64)], axis=1)
    else:
        weight, zero = g.weight(np.ascontiguousarray(w.T), "s8", 0)
        moved = g.node("Transpose", [weight], perm=[1, 0])
    g.output(g.node("MatMulInteger", [a, moved, "", zero]), TYPES["s32"], 2)
    return g.case()


def shown() -> Case:
    """The int8 weights are an output too: they have to stay as they are for who reads them there."""
    g = Graph("MatMulInteger 13 of weights that are an output", 13)
    a = g.input(activations(g.random, "u8", 4, K))
    weight, zero = g.weight(weights(g.random, K, N), "s8", 0)
    g.output(g.node("MatMulInteger", [a, weight, "", zero]), TYPES["s32"], 2)
    g.output(g.node("Identity", [weight]), TYPES["s8"], 2)
    return g.case()


def default() -> Case:
    """Weights that have a default in the model and can be sent with a call: this call sends none."""
    g = Graph("MatMulInteger 13 of weights with a default", 13)
    a = g.input(activations(g.random, "u8", 4, K))
    weight, _ = g.weight(weights(g.random, K, N), "s8", None)
    kind = next(tensor.data_type for tensor in g.tensors if tensor.name == weight)
    g.inputs.append(helper.make_tensor_value_info(weight, kind, [K, N]))
    g.output(g.node("MatMulInteger", [a, weight]), TYPES["s32"], 2)
    return g.case()


def declared_type(kind: str) -> Case:
    """Activations of a type that only `output_dtype` names, without a zero point."""
    g = Graph(f"QDQ MatMul 21 {kind}×s8, by output_dtype", 21)
    x = g.input((activations(g.random, kind, 4, K) * A_SCALE).astype(np.float32))
    scale = g.constant(A_SCALE)
    steps = g.node("QuantizeLinear", [x, scale], output_dtype=TYPES[kind])
    a = g.node("DequantizeLinear", [steps, scale])
    return finish(g, g.node("MatMul", [a, dequantised(g, weights(g.random, K, N), "s8", 1)]), kind, 2)


def after(operator: str) -> Case:
    """Signed activations out of an operator of ONNX Runtime's own, whose output type the standard does not know."""
    g = Graph(f"QLinearMatMul 13 s8×s8 after {operator}", 13)
    x, zero = g.input(activations(g.random, "s8", 4, K)), g.constant(0, "s8")
    scale = g.constant(A_SCALE)
    other = [g.input(activations(g.random, "s8", 4, K)), scale, zero] if operator == "QLinearAdd" else []
    a = g.node(operator, [x, scale, zero, *other, scale, zero], domain=MICROSOFT)
    w = weights(g.random, K, N)
    weight = g.constant(w, "s8")
    total = g.value(a).astype(np.int64) @ w.astype(np.int64) * A_SCALE * W_SCALE
    names = [a, scale, zero, weight, g.constant(W_SCALE), zero, g.constant(fitted(total, "s8")[0]), zero]
    g.output(g.node("QLinearMatMul", names), TYPES["s8"], 2)
    return g.case(step=1)


def fed_zero() -> Case:
    """The weights' zero point comes with the call."""
    g = Graph("MatMulInteger 13, zero point an input", 13)
    a = g.input(activations(g.random, "u8", 4, K))
    weight = g.constant(weights(g.random, K, N), "s8")
    zero = g.input(np.array(5, np.int8))
    g.output(g.node("MatMulInteger", [a, weight, "", zero]), TYPES["s32"], 2)
    return g.case()


def fed_scale() -> Case:
    """The weights' scale per column comes with the call, and they have no zero point."""
    g = Graph("QDQ MatMul 13 u8×s8, scale an input, no zero point", 13)
    a = activation(g, "u8", 4, K)
    scale = g.input(np.full(N, W_SCALE, np.float32))
    w = g.node("DequantizeLinear", [g.constant(weights(g.random, K, N), "s8"), scale], axis=1)
    return finish(g, g.node("MatMul", [a, w]), "u8", 2)


def two_readers() -> Case:
    """One int8 weight in a product that saturates, and in one that does not take unsigned ones."""
    g = Graph("weights s8 of a product with u8 and of one with s8", 13)
    weight, zero = g.weight(weights(g.random, K, N), "s8", 0)
    for kind in ("u8", "s8"):
        a = g.input(activations(g.random, kind, 4, K))
        names = [a, g.constant(A_SCALE), g.constant(middle(kind), kind), weight, g.constant(W_SCALE), zero]
        y = g.node("QLinearMatMul", [*names, g.constant(2.0), g.constant(128 if kind == "u8" else 0, kind)])
        g.output(y, TYPES[kind], 2)
    return g.case(step=1)


def small(limit: int) -> Case:
    """Weights whose pairs just pass 16 bits, or just do not."""
    g = Graph(f"MatMulInteger 13 of weights up to {limit}", 13)
    a = g.input(np.full((4, K), 255, np.uint8))
    w = np.where(np.arange(K)[:, None] % 16 < 8, limit, -limit) * np.ones((1, N), np.int64)
    w[:8] = limit
    weight, _ = g.weight(w, "s8", None)
    g.output(g.node("MatMulInteger", [a, weight]), TYPES["s32"], 2)
    return g.case()


def doubled_branch() -> Case:
    """A branch inside a branch."""
    g = Graph("If inside If with MatMulInteger", 13)
    choice = g.input(np.array(True), "choice")
    x = g.input(activations(g.random, "u8", 4, K))
    weight, zero = g.weight(weights(g.random, K, N), "s8", 0)
    bodies = []
    for name in ("deep", "plain"):
        body = Graph(name, 13, prefix=f"{name}_")
        y = body.node("MatMulInteger", [x, weight, "", zero])
        body.output(y, TYPES["s32"], 2)
        bodies.append(body)
    middle_body = Graph("middle", 13, prefix="middle_")
    inner = middle_body.node("If", [choice], then_branch=bodies[0].graph(), else_branch=bodies[1].graph())
    middle_body.output(inner, TYPES["s32"], 2)
    other = Graph("other", 13, prefix="other_")
    other.output(other.node("MatMulInteger", [x, weight, "", zero]), TYPES["s32"], 2)
    g.output(g.node("If", [choice], then_branch=middle_body.graph(), else_branch=other.graph()), TYPES["s32"], 2)
    return g.case()


def normal_domain() -> Case:
    """The standard's domain by its long name."""
    g = Graph("QLinearMatMul 21 u8×s8, domain ai.onnx", 21)
    a, w = activations(g.random, "u8", 4, K), weights(g.random, K, N)
    weight, zero = g.weight(w, "s8", 0)
    names = [g.input(a), g.constant(A_SCALE), g.constant(10, "u8"), weight, g.constant(W_SCALE), zero]
    y = g.node("QLinearMatMul", [*names, g.constant(2.0), g.constant(128, "u8")], domain="ai.onnx")
    g.output(y, TYPES["u8"], 2)
    return g.case(step=1)


def relu_fused() -> Case:
    """A product whose output passes a Clip into QuantizeLinear, which is fused away."""
    g = Graph("QDQ Gemm 13 u8×s8 with Clip", 13)
    a = activation(g, "u8", 4, K)
    w = dequantised(g, weights(g.random, K, N), "s8", None)
    y = g.node("Gemm", [a, w], alpha=1.0)
    y = g.node("Clip", [y, g.constant(0.0), g.constant(60.0)])
    scale, zero = fitted(g.value(y), "u8")
    g.output(through(g, y, "u8", scale, zero), FLOAT, 2)
    return g.case(step=scale)


def cases() -> Iterator[Case]:
    yield from (left_constant(kinds) for kinds in (("u8", "s8"), ("s8", "s8"), ("u8", "u8")))
    yield from (left_constant_integer(kind) for kind in ("u8", "s8"))
    yield behind(("u8", "s8"), "MaxPool", kernel_shape=[1, 1])
    yield behind(("u8", "s8"), "Relu")
    yield behind(("u8", "s8"), "Transpose", perm=[0, 1, 3, 2])
    yield behind(("s8", "s8"), "MaxPool", kernel_shape=[1, 1])
    yield from (split(opset) for opset in (13, 18))
    yield from (joined(operator) for operator in ("Concat", "Gather", "Transpose"))
    yield from (make() for make in (shown, default, fed_zero, fed_scale, two_readers, doubled_branch))
    yield from (declared_type(kind) for kind in ("u8", "s8"))
    yield from (after(operator) for operator in ("QLinearAdd", "QLinearSigmoid"))
    yield from (small(limit) for limit in (63, 64, 65))
    yield normal_domain()
    yield relu_fused()
