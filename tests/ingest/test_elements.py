"""Element types are inferred in one place, for operators with a schema, for ONNX Runtime's own, and in inner graphs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from shared.ingest import elements, portable, quantized
from shared.runtime import onnx
from tests.ingest.corpus import proto, scalar, value
from tests.ingest.quantized import WEIGHTS, A, exact

INT8, UINT8, INT32, FLOAT = TensorProto.INT8, TensorProto.UINT8, TensorProto.INT32, TensorProto.FLOAT
CONSTANTS = [
    scalar("s", 0.1, np.float32),
    scalar("i8", 0, np.int8),
    scalar("u8", 0, np.uint8),
    numpy_helper.from_array(np.array([1, -1]), "shape"),
]


def types(nodes: list[Any], *, functions: Any = (), element: int = INT8) -> dict[str, int | None]:
    """By name, of a model whose only input is x."""
    inputs = [value("x", ["N", 4], element)]
    domains = ["com.microsoft", *({function.domain for function in functions})]
    model = proto(nodes, inputs, [value("z", None)], CONSTANTS, opset=21, domains=domains, functions=functions)
    scope = quantized.scopes(model)[0]
    return {name: scope.element(name) for node in nodes for name in node.output}


def own(operator: str, inputs: list[str], **attributes: Any) -> Any:
    return helper.make_node(operator, inputs, ["y"], domain="com.microsoft", **attributes)


@pytest.mark.parametrize(
    ("node", "element"),
    [
        (helper.make_node("QuantizeLinear", ["x", "s", "i8"], ["y"]), INT8),
        (helper.make_node("QuantizeLinear", ["x", "s"], ["y"]), UINT8),
        (helper.make_node("QuantizeLinear", ["x", "s"], ["y"], output_dtype=INT8), INT8),
        (own("QuantizeLinear", ["x", "s", "i8"]), INT8),
        (own("QuantizeLinear", ["x", "s"]), UINT8),
        (own("QLinearAdd", ["x", "s", "i8", "x", "s", "i8", "s", "u8"]), UINT8),
        (own("QLinearAdd", ["x", "s", "i8", "x", "s", "i8", "s"]), None),
        (own("QLinearSigmoid", ["x", "s", "i8", "s", "i8"]), INT8),
        (own("QGemm", ["x", "s", "i8", "x", "s", "i8", "", "s", "u8"]), UINT8),
        (helper.make_node("MatMulInteger", ["x", "x"], ["y"]), INT32),
        (helper.make_node("Reshape", ["x", "shape"], ["y"]), INT8),
        (own("ExpandDims", ["x", "shape"]), INT8),
        (own("Tokenizer", ["x"]), None),
    ],
)
def test_of_one_operator(node: Any, element: int | None) -> None:
    assert types([node])["y"] == element


def test_of_several_outputs() -> None:
    node = helper.make_node("DynamicQuantizeLinear", ["x"], ["y", "scale", "zero"])
    assert types([node], element=FLOAT) == {"y": UINT8, "scale": FLOAT, "zero": UINT8}


def test_through_a_function_and_a_branch() -> None:
    body = [helper.make_node("Cast", ["a"], ["b"], to=INT8)]
    function = helper.make_function("own", "Narrow", ["a"], ["b"], body, [helper.make_opsetid("", 21)])
    branch = helper.make_graph([helper.make_node("Identity", ["q"], ["t"])], "t", [], [value("t", None, INT8)])
    nodes = [
        helper.make_node("Narrow", ["x"], ["q"], domain="own"),
        helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch),
    ]
    assert types(nodes, functions=[function], element=FLOAT) == {"q": INT8, "y": INT8}


def test_what_the_rewriting_inserts_has_a_type() -> None:
    nodes = [helper.make_node("Cast", ["x"], ["w"], to=INT8), helper.make_node("MatMulInteger", ["a", "w"], ["y"])]
    model = proto(nodes, [value("x", [4, 4])], [value("y", None, INT32)], opset=21)
    [scope] = quantized.scopes(model)
    scope.insert_after(model.graph.node[0], helper.make_node("Cast", ["w"], ["wide"], to=INT32))
    scope.add("offset", np.array(128, np.int32))
    assert [scope.element(name) for name in ("w", "wide", "offset")] == [INT8, INT32, INT32]


def test_a_factor_of_a_type_that_only_a_branch_gives_is_made_unsigned() -> None:
    """Its values come out of an If, whose type is that of its branches' outputs."""
    branch = helper.make_graph([helper.make_node("Identity", ["b"], ["t"])], "t", [], [value("t", None, INT8)])
    nodes = [
        helper.make_node("If", ["c"], ["w"], then_branch=branch, else_branch=branch),
        helper.make_node("MatMulInteger", ["a", "w"], ["y"]),
    ]
    inputs = [value("a", ["N", 64], UINT8), value("b", [64, 8], INT8), value("c", [], TensorProto.BOOL)]
    model = proto(nodes, inputs, [value("y", None, INT32)], opset=21)
    assert [change[0] for change in portable.rewrite(model)] == ["1", "1"]
    feeds = {"a": A, "b": WEIGHTS, "c": np.array(True)}
    assert np.array_equal(onnx.load(model.SerializeToString()).run(None, feeds)[0], exact(WEIGHTS))


def test_opsets_by_domain() -> None:
    model = proto([helper.make_node("Neg", ["x"], ["y"])], domains=["com.microsoft"], opset=17)
    model.opset_import[0].domain = "ai.onnx"
    assert elements.opsets_of(model) == {"": 17, "com.microsoft": 1}
