"""Graphs that take no end, or very long, to read or to run."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, helper

from shared.ingest.verdict import Limits
from tests.ingest.corpus.parts import INT64, add, attack, ints, model, proto, scalar, value


def loop(trip: Any | None) -> bytes:
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["c2"]), helper.make_node("Add", ["v", "v"], ["v2"])],
        "body",
        [value("i", [], INT64), value("c", [], TensorProto.BOOL), value("v", None)],
        [value("c2", [], TensorProto.BOOL), value("v2", None)],
    )
    node = helper.make_node("Loop", ["m" if trip else "", "go", "x"], ["y"], body=body)
    return model([node], initializers=[scalar("go", True, np.bool_), *([trip] if trip else [])])


@attack("unbounded_loop")
def loop_without_end() -> bytes:
    return loop(None)


@attack("unbounded_loop")
def loop_nearly_without_end() -> bytes:
    return loop(scalar("m", 2**63 - 1))


@attack("unbounded_loop")
def loop_count_from_caller() -> bytes:
    onnx_model = proto([])
    onnx_model.ParseFromString(loop(scalar("m", 5)))
    del onnx_model.graph.initializer[1]
    onnx_model.graph.input.append(value("m", [], INT64))
    return onnx_model.SerializeToString()


@attack("too_many_nodes")
def billion_laughs() -> bytes:
    """Nine functions, each calling the one before ten times: 10^9 nodes in 2 KB."""
    imports = [helper.make_opsetid("", 18), helper.make_opsetid("l", 1)]
    functions = [helper.make_function("l", "F0", ["a"], ["b"], [helper.make_node("Neg", ["a"], ["b"])], imports)]
    for level in range(1, 10):
        names = ["a", *(f"t{i}" for i in range(9)), "b"]
        calls = [helper.make_node(f"F{level - 1}", [names[i]], [names[i + 1]], domain="l") for i in range(10)]
        functions.append(helper.make_function("l", f"F{level}", ["a"], ["b"], calls, imports))
    return model([helper.make_node("F9", ["x"], ["y"], domain="l")], domains=["l"], functions=functions)


@attack("invalid_graph")
def function_calls_itself() -> bytes:
    imports = [helper.make_opsetid("", 18), helper.make_opsetid("l", 1)]
    function = helper.make_function("l", "F", ["a"], ["b"], [helper.make_node("F", ["a"], ["b"], domain="l")], imports)
    return model([helper.make_node("F", ["x"], ["y"], domain="l")], domains=["l"], functions=[function])


@attack("too_many_nodes")
def long_chain() -> bytes:
    names = ["x", *(f"t{i}" for i in range(24_999)), "y"]
    return model([helper.make_node("Neg", [names[i]], [names[i + 1]]) for i in range(25_000)])


@attack("too_deep")
def deep_branches() -> bytes:
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["b"])], "b", [], [value("b", None)])
    for _ in range(12):
        node = helper.make_node("If", ["c"], ["b"], then_branch=graph, else_branch=graph)
        graph = helper.make_graph([node], "b", [], [value("b", None)])
    node = helper.make_node("If", ["c"], ["y"], then_branch=graph, else_branch=graph)
    return model([node], [value("c", [], TensorProto.BOOL), value("x")])


@attack("cpu_limit", Limits(cpu=1))
def foldable_products() -> bytes:
    """Constant folding multiplies 8000 x 8000 matrices while the session is created."""
    nodes = [helper.make_node("ConstantOfShape", ["s"], ["a0"])]
    nodes += [helper.make_node("MatMul", [f"a{i}", f"a{i}"], [f"a{i + 1}"]) for i in range(6)]
    nodes += [helper.make_node("ReduceSum", ["a6"], ["r"]), add("x", "r")]
    return model(nodes, [value("x", [1])], initializers=[ints("s", [8000, 8000])])
