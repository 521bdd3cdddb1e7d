"""Values that end ONNX Runtime do not end the model that is served, and its results stay the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx as onnx_package
import pytest
from onnx import TensorProto, helper, numpy_helper

from shared.ingest import guards
from shared.ingest.verdict import Refused
from tests.ingest.calls import called, served
from tests.ingest.corpus import INT64, model, proto, scalar, value

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
    """The division in a function, whose body states no types."""
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
    """The same function for integers and for floats: within it, the type is unknown."""
    onnx_model = in_function()
    onnx_model.graph.input.append(value("f", ["N"], FLOAT))
    onnx_model.graph.output.append(value("g", ["N"], FLOAT))
    onnx_model.graph.node.append(helper.make_node("Share", ["f", "f"], ["g"], domain="local"))
    return onnx_model


def after_a_type_that_only_the_schema_says() -> Any:
    nodes = [
        helper.make_node("Cast", ["x"], ["a"], to=INT64),
        helper.make_node("ArgMax", ["w"], ["m"], axis=0, keepdims=0),
        helper.make_node("Sub", ["m", "two"], ["b"]),
        helper.make_node("Div", ["a", "b"], ["y"]),
    ]
    inputs = [value("x", ["N"], TensorProto.DOUBLE), value("w", ["K"])]
    return proto(nodes, inputs, [value("y", ["N"], INT64)], [scalar("two", 2)])


DIVISIONS = {
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
def guarded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[bytes, Any]]:
    """The models as they are served, with their verdicts."""
    root = tmp_path_factory.mktemp("guards")
    return {name: served(root / name, onnx_model.SerializeToString()) for name, onnx_model in DIVISIONS.items()}


def feeds(case: str, a: list[int], b: list[int]) -> dict[str, np.ndarray]:
    kind = np.int32 if "int32" in case else np.int64
    two = {"f": np.ones(len(a), np.float32)} if case == "in a function of two types" else {}
    return {"a": np.array(a, kind), "b": np.array(b, kind)} | two


@pytest.mark.parametrize("case", DIVISIONS)
def test_the_smallest_number_by_minus_one_is_itself(guarded: dict[str, tuple[bytes, Any]], case: str) -> None:
    inputs = feeds(case, [5], [-1])
    least = np.iinfo(inputs["a"].dtype).min
    assert called(DIVISIONS[case].SerializeToString(), feeds(case, [int(least)], [-1])) == "SIGFPE", (
        "the source must end it"
    )
    answer = called(guarded[case][0], feeds(case, [int(least)], [-1]))
    assert isinstance(answer, list), answer
    assert answer[0].tolist() == [least]


@pytest.mark.parametrize("case", DIVISIONS)
def test_results_stay_the_same(guarded: dict[str, tuple[bytes, Any]], case: str) -> None:
    inputs = feeds(case, *map(list, zip(*PAIRS, strict=True)))
    before, after = called(DIVISIONS[case].SerializeToString(), inputs), called(guarded[case][0], inputs)
    assert isinstance(before, list) and isinstance(after, list)
    assert [array.dtype for array in before] == [array.dtype for array in after]
    assert [array.tolist() for array in before] == [array.tolist() for array in after]


@pytest.mark.parametrize("case", DIVISIONS)
def test_a_division_by_zero_is_an_error(guarded: dict[str, tuple[bytes, Any]], case: str) -> None:
    answer = called(guarded[case][0], feeds(case, [5], [0]))
    assert isinstance(answer, str) and answer.startswith("BadInput") and "zero" in answer


def test_the_verdict_lists_the_guard(guarded: dict[str, tuple[bytes, Any]]) -> None:
    assert "1 integer divisions: none can trap any more" in guarded["int64"][1].optimization["normalized"]


def test_results_of_floats_stay_the_same_if_the_type_is_unknown(guarded: dict[str, tuple[bytes, Any]]) -> None:
    numbers = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, -1.0, 3e38, 1e-45], np.float32)
    many = np.ones(len(numbers), np.int64)
    name = "in a function of two types"
    for divided in (numbers, numbers[::-1].copy()):
        inputs = {"a": many, "b": many, "f": divided}
        before, after = called(DIVISIONS[name].SerializeToString(), inputs), called(guarded[name][0], inputs)
        assert before[1].tobytes() == after[1].tobytes()


def test_what_cannot_trap_is_not_changed() -> None:
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
    for onnx_model in (constant, of_sizes, division(FLOAT), division(TensorProto.INT16), division(TensorProto.UINT64)):
        before = onnx_model.SerializeToString()
        assert guards.guard(onnx_model) == []
        assert onnx_model.SerializeToString() == before


def test_a_default_that_a_call_may_replace_is_not_a_constant() -> None:
    onnx_model = proto(
        [helper.make_node("Div", ["a", "b"], ["y"])], [value("a", ["N"], INT64), value("b", [], INT64)],
        [value("y", ["N"], INT64)], [scalar("b", 2)],
    )  # fmt: skip
    assert guards.guard(onnx_model) == ["1 integer divisions: none can trap any more"]


def test_a_type_is_followed_through_schemas() -> None:
    onnx_model = after_a_type_that_only_the_schema_says()
    assert guards.guard(onnx_model) == ["1 integer divisions: none can trap any more"]
    onnx_package.checker.check_model(onnx_model, full_check=True)
    inputs = {"x": np.array([-(2.0**63), 8.0]), "w": np.array([0, 1, 0], np.float32)}
    answer = called(onnx_model.SerializeToString(), inputs)
    assert isinstance(answer, list) and answer[0].tolist() == [-(2**63), -8]


@pytest.mark.parametrize("case", [name for name in DIVISIONS if "opset 8" not in name and "two types" not in name])
def test_a_guarded_model_gets_no_second_guard(guarded: dict[str, tuple[bytes, Any]], case: str) -> None:
    """The other forms get one around the first, and the results stay the same."""
    assert guards.guard(onnx_package.load_from_string(guarded[case][0])) == []


def test_an_unknown_type_of_an_old_opset_is_refused() -> None:
    onnx_model = in_function(13)
    onnx_model.graph.input.append(value("f", ["N"], FLOAT))
    onnx_model.graph.output.append(value("g", ["N"], FLOAT))
    onnx_model.graph.node.append(helper.make_node("Share", ["f", "f"], ["g"], domain="local"))
    with pytest.raises(Refused, match="opset 15 or newer"):
        guards.guard(onnx_model)


def test_large_constants_are_read_too() -> None:
    many = np.full(100_000, 3, np.int64)
    for last, changes in ((3, []), (-1, ["1 integer divisions: none can trap any more"])):
        many[-1] = last
        onnx_model = proto(
            [helper.make_node("Div", ["a", "b"], ["y"])], [value("a", [1], INT64)], [value("y", [100_000], INT64)],
            [numpy_helper.from_array(many, "b")],
        )  # fmt: skip
        assert guards.guard(onnx_model) == changes


def test_positions_of_one_axis_get_two(tmp_path: Path) -> None:
    """GroupQueryAttention trusts that there are two, and the rank may be the caller's."""
    names = ["q", "k", "v", "pk", "pv", "lengths", "total", "cos", "sin", "positions"]
    node = helper.make_node(
        "GroupQueryAttention", names, ["y", "a", "b"], domain="com.microsoft", num_heads=2, kv_num_heads=1, do_rotary=1
    )
    inputs = [value("q", ["N", "T", 32]), value("k", ["N", "T", 16]), value("v", ["N", "T", 16])]
    inputs += [value(name, ["N", 1, "P", 16]) for name in ("pk", "pv")] + [
        value(name, [8, 8]) for name in ("cos", "sin")
    ]
    inputs += [value("lengths", ["N"], TensorProto.INT32), value("total", [], TensorProto.INT32)]
    inputs += [value("p", ["K"], INT64), value("rank", ["R"], INT64)]
    shaped = helper.make_node("Reshape", ["p", "rank"], ["positions"])
    source = model([shaped, node], inputs, [value(name, None) for name in "yab"], domains=["com.microsoft"])
    shapes = {"q": (1, 1, 32), "k": (1, 1, 16), "v": (1, 1, 16), "pk": (1, 1, 4, 16), "pv": (1, 1, 4, 16)}
    feeds: dict[str, Any] = {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
    feeds |= {"cos": np.ones((8, 8), np.float32), "sin": np.ones((8, 8), np.float32)}
    feeds |= {"lengths": np.full(1, 4, np.int32), "total": np.array(5, np.int32), "p": np.array([4])}
    one, two = feeds | {"rank": np.array([1])}, feeds | {"rank": np.array([1, 1])}
    assert called(source, one) == "SIGABRT", "the source must end it"
    guarded, _ = served(tmp_path, source)
    right = called(source, two)
    for answer in (called(guarded, one), called(guarded, two)):
        assert all(np.array_equal(here, there) for here, there in zip(answer, right, strict=True))
    more = called(guarded, two | {"p": np.array([4, 4]), "rank": np.array([1, 2])})
    assert isinstance(more, str) and more.startswith("BadInput")
