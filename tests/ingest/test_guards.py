"""Values that end ONNX Runtime: in the model that is served, none of them does, and right numbers stay."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx as onnx_package
import pytest
from onnx import TensorProto, helper, numpy_helper

from shared.ingest import guards
from shared.ingest.verdict import Refused
from tests.ingest.calls import called, served
from tests.ingest.corpus import INT64, proto, scalar, value

FLOAT, BOOL = TensorProto.FLOAT, TensorProto.BOOL
KINDS = {TensorProto.INT32: np.int32, TensorProto.INT64: np.int64}


def division(kind: int = INT64, opset: int = 18, **more: Any) -> Any:
    inputs = [value("a", ["N"], kind), value("b", ["N"], kind)]
    return proto([helper.make_node("Div", ["a", "b"], ["y"])], inputs, [value("y", ["N"], kind)], opset=opset, **more)


def in_branch() -> Any:
    """The division within a branch, of values from outside."""
    branch = helper.make_graph([helper.make_node("Div", ["a", "b"], ["q"])], "t", [], [value("q", None, INT64)])
    other = helper.make_graph([helper.make_node("Identity", ["a"], ["i"])], "e", [], [value("i", None, INT64)])
    nodes = [
        helper.make_node("Shape", ["a"], ["s"]),
        helper.make_node("ReduceSum", ["s"], ["n"], keepdims=0),
        helper.make_node("Cast", ["n"], ["c"], to=BOOL),
        helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=other),
    ]
    return proto(nodes, [value("a", ["N"], INT64), value("b", ["N"], INT64)], [value("y", ["N"], INT64)])


def in_loop() -> Any:
    """The division as the body of a loop of one turn."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["d"]), helper.make_node("Div", ["x", "b"], ["z"])],
        "body",
        [value("i", [], INT64), value("c", [], BOOL), value("x", ["N"], INT64)],
        [value("d", [], BOOL), value("z", ["N"], INT64)],
    )
    node = helper.make_node("Loop", ["turns", "", "a"], ["y"], body=body)
    inputs = [value("a", ["N"], INT64), value("b", ["N"], INT64)]
    return proto([node], inputs, [value("y", ["N"], INT64)], [scalar("turns", 1)])


def in_function(opset: int = 18) -> Any:
    """The division in a function, whose body has no types of its own."""
    function = helper.make_function(
        "local",
        "Share",
        ["p", "q"],
        ["r"],
        [helper.make_node("Div", ["p", "q"], ["r"])],
        [helper.make_opsetid("", opset)],
    )
    node = helper.make_node("Share", ["a", "b"], ["y"], domain="local")
    inputs = [value("a", ["N"], INT64), value("b", ["N"], INT64)]
    return proto([node], inputs, [value("y", ["N"], INT64)], opset=opset, domains=["local"], functions=[function])


def in_function_of_two_types() -> Any:
    """The same function for whole numbers and for others: within it, the type is not known."""
    made = in_function()
    made.graph.input.append(value("f", ["N"], FLOAT))
    made.graph.output.append(value("g", ["N"], FLOAT))
    made.graph.node.append(helper.make_node("Share", ["f", "f"], ["g"], domain="local"))
    return made


def after_a_type_that_only_the_schema_says() -> Any:
    nodes = [
        helper.make_node("Cast", ["x"], ["a"], to=INT64),
        helper.make_node("ArgMax", ["w"], ["m"], axis=0, keepdims=0),
        helper.make_node("Sub", ["m", "two"], ["b"]),
        helper.make_node("Div", ["a", "b"], ["y"]),
    ]
    inputs = [value("x", ["N"], TensorProto.DOUBLE), value("w", ["K"])]
    return proto(nodes, inputs, [value("y", ["N"], INT64)], [scalar("two", 2)])


PLACES = {
    "int64": division(),
    "int32": division(TensorProto.INT32),
    "opset 8": division(opset=8),
    "opset 8, int32": division(TensorProto.INT32, opset=8),
    "in a branch": in_branch(),
    "in a loop": in_loop(),
    "in a function": in_function(),
    "in a function, opset 13": in_function(13),
    "in a function of two types": in_function_of_two_types(),
}
PAIRS = [(7, 2), (-7, 2), (7, -2), (-7, -2), (7, -1), (-7, -1), (0, -1), (7, 1), (0, 5)]


@pytest.fixture(scope="module")
def passed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[bytes, Any]]:
    """As the gate lets them through."""
    root = tmp_path_factory.mktemp("guards")
    return {name: served(root / name, made.SerializeToString()) for name, made in PLACES.items()}


def feeds(place: str, a: list[int], b: list[int]) -> dict[str, np.ndarray]:
    kind = np.int32 if "int32" in place else np.int64
    two = {"f": np.ones(len(a), np.float32)} if place == "in a function of two types" else {}
    return {"a": np.array(a, kind), "b": np.array(b, kind)} | two


@pytest.mark.parametrize("place", PLACES)
def test_the_smallest_number_by_minus_one_is_itself(passed: dict[str, tuple[bytes, Any]], place: str) -> None:
    given = feeds(place, [5], [-1])
    least = np.iinfo(given["a"].dtype).min
    assert called(PLACES[place].SerializeToString(), feeds(place, [int(least)], [-1])) == "SIGFPE", "no test without it"
    answer = called(passed[place][0], feeds(place, [int(least)], [-1]))
    assert isinstance(answer, list), answer
    assert answer[0].tolist() == [least]


@pytest.mark.parametrize("place", PLACES)
def test_right_numbers_stay(passed: dict[str, tuple[bytes, Any]], place: str) -> None:
    given = feeds(place, *map(list, zip(*PAIRS, strict=True)))
    before, after = called(PLACES[place].SerializeToString(), given), called(passed[place][0], given)
    assert isinstance(before, list) and isinstance(after, list)
    assert [array.dtype for array in before] == [array.dtype for array in after]
    assert [array.tolist() for array in before] == [array.tolist() for array in after]


@pytest.mark.parametrize("place", PLACES)
def test_by_zero_is_an_error(passed: dict[str, tuple[bytes, Any]], place: str) -> None:
    answer = called(passed[place][0], feeds(place, [5], [0]))
    assert isinstance(answer, str) and answer.startswith("BadInput") and "zero" in answer


def test_the_verdict_says_so(passed: dict[str, tuple[bytes, Any]]) -> None:
    assert "1 integer divisions: none can trap any more" in passed["int64"][1].optimization["normalized"]


def test_numbers_of_floats_stay_where_the_type_is_not_known(passed: dict[str, tuple[bytes, Any]]) -> None:
    numbers = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, -1.0, 3e38, 1e-45], np.float32)
    many = np.ones(len(numbers), np.int64)
    name = "in a function of two types"
    for divided in (numbers, numbers[::-1].copy()):
        given = {"a": many, "b": many, "f": divided}
        before, after = called(PLACES[name].SerializeToString(), given), called(passed[name][0], given)
        assert before[1].tobytes() == after[1].tobytes()


def test_what_cannot_trap_is_left_alone() -> None:
    constant = proto(
        [helper.make_node("Div", ["a", "two"], ["y"])], [value("a", ["N"], INT64)], [value("y", ["N"], INT64)],
        [scalar("two", 2)],
    )  # fmt: skip
    sizes = [
        helper.make_node("Shape", ["a"], ["s"]),
        helper.make_node("Gather", ["s", "zero"], ["n"], axis=0),
        helper.make_node("Div", ["b", "n"], ["y"]),
    ]
    of_sizes = proto(
        sizes, [value("a", ["N"]), value("b", ["M"], INT64)], [value("y", ["M"], INT64)], [scalar("zero", 0)]
    )
    for made in (constant, of_sizes, division(FLOAT), division(TensorProto.INT16), division(TensorProto.UINT64)):
        before = made.SerializeToString()
        assert guards.guard(made) == []
        assert made.SerializeToString() == before


def test_a_constant_that_a_call_may_replace_is_none() -> None:
    made = proto(
        [helper.make_node("Div", ["a", "b"], ["y"])], [value("a", ["N"], INT64), value("b", [], INT64)],
        [value("y", ["N"], INT64)], [scalar("b", 2)],
    )  # fmt: skip
    assert guards.guard(made) == ["1 integer divisions: none can trap any more"]


def test_a_type_is_followed_through_schemas() -> None:
    made = after_a_type_that_only_the_schema_says()
    assert guards.guard(made) == ["1 integer divisions: none can trap any more"]
    onnx_package.checker.check_model(made, full_check=True)
    given = {"x": np.array([-(2.0**63), 8.0]), "w": np.array([0, 1, 0], np.float32)}
    answer = called(made.SerializeToString(), given)
    assert isinstance(answer, list) and answer[0].tolist() == [-(2**63), -8]


@pytest.mark.parametrize("place", [name for name in PLACES if "opset 8" not in name and "two types" not in name])
def test_what_was_guarded_is_not_guarded_again(passed: dict[str, tuple[bytes, Any]], place: str) -> None:
    """Of the other forms a second one is put around the first, and the numbers stay."""
    assert guards.guard(onnx_package.load_from_string(passed[place][0])) == []


def test_an_unknown_type_of_an_old_opset_is_refused() -> None:
    made = in_function(13)
    made.graph.input.append(value("f", ["N"], FLOAT))
    made.graph.output.append(value("g", ["N"], FLOAT))
    made.graph.node.append(helper.make_node("Share", ["f", "f"], ["g"], domain="local"))
    with pytest.raises(Refused, match="opset 15 or newer"):
        guards.guard(made)


def test_large_constants_are_read_too() -> None:
    many = np.full(100_000, 3, np.int64)
    for last, done in ((3, []), (-1, ["1 integer divisions: none can trap any more"])):
        many[-1] = last
        made = proto(
            [helper.make_node("Div", ["a", "b"], ["y"])], [value("a", [1], INT64)], [value("y", [100_000], INT64)],
            [numpy_helper.from_array(many, "b")],
        )  # fmt: skip
        assert guards.guard(made) == done
