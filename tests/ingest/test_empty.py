"""Tensors without elements: an error, whether they come from the caller or arise within the graph; never a signal."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx as onnx_package
import pytest
from onnx import TensorProto, helper, numpy_helper

from shared.ingest import guards
from shared.runtime.sizes import NOT_EMPTY
from tests.ingest.calls import called, served
from tests.ingest.corpus import INT64, ints, proto, scalar, value

GATES = {"LSTM": 4, "GRU": 3}
WIDTH, HIDDEN = 2, 3


def weights(operator: str) -> list[Any]:
    gates = GATES[operator] * HIDDEN
    return [
        numpy_helper.from_array(np.linspace(-1, 1, gates * size, dtype=np.float32).reshape(1, gates, size), name)
        for name, size in (("w", WIDTH), ("r", HIDDEN))
    ]


def recurrent(operator: str, before: list[Any] | None = None, inputs: Any = None, opset: int = 18, **more: Any) -> Any:
    """x [T, N, 2] → y; before: nodes that make h from x, which is then what the layer reads."""
    node = helper.make_node(operator, ["h" if before else "x", "w", "r"], ["y"], hidden_size=HIDDEN)
    constants = weights(operator) + more.pop("constants", [])
    x = value("x", ["T", "N", WIDTH])
    return proto([*(before or []), node], inputs or [x], [value("y", None)], constants, opset)


def sliced(operator: str, opset: int = 18) -> Any:
    """What is left of x from the third element on: nothing, of two."""
    constants = [ints("from", [2]), ints("to", [2**31]), ints("axes", [0])]
    return recurrent(
        operator, [helper.make_node("Slice", ["x", "from", "to", "axes"], ["h"])], opset=opset, constants=constants
    )


def in_branch(operator: str) -> Any:
    node = helper.make_node(operator, ["x", "w", "r"], ["z"], hidden_size=HIDDEN)
    branches = [helper.make_graph([node], name, [], [value("z", None)]) for name in "te"]
    chosen = helper.make_node("If", ["c"], ["y"], then_branch=branches[0], else_branch=branches[1])
    inputs = [value("x", ["T", "N", WIDTH]), value("c", [], TensorProto.BOOL)]
    return proto([chosen], inputs, [value("y", None)], weights(operator))


def in_function(operator: str) -> Any:
    node = helper.make_node(operator, ["p", "q", "s"], ["z"], hidden_size=HIDDEN)
    function = helper.make_function("local", "Layer", ["p", "q", "s"], ["z"], [node], [helper.make_opsetid("", 18)])
    call = helper.make_node("Layer", ["x", "w", "r"], ["y"], domain="local")
    x = value("x", ["T", "N", WIDTH])
    return proto(
        [call], [x], [value("y", None)], weights(operator), domains=["local"], functions=[function]
    )  # fmt: skip


def sequence(*shape: int) -> dict[str, np.ndarray]:
    return {"x": np.linspace(-1, 1, int(np.prod(shape)), dtype=np.float32).reshape(shape)}


@pytest.mark.parametrize("operator", GATES)
@pytest.mark.parametrize("shape", [(4, 0, 2), (0, 0, 2)])
def test_of_a_caller(operator: str, shape: tuple[int, ...], tmp_path: Any) -> None:
    source = recurrent(operator).SerializeToString()
    assert called(source, sequence(*shape)) == "SIGABRT", "no test without it"
    model, _ = served(tmp_path, source)
    answer = called(model, sequence(*shape))
    assert isinstance(answer, str) and "'x'" in answer and "send at least one element" in answer
    one, other = called(source, sequence(4, 1, 2)), called(model, sequence(4, 1, 2))
    assert isinstance(one, list) and isinstance(other, list)
    assert np.array_equal(one[0], other[0])


@pytest.mark.parametrize("operator", GATES)
def test_for_those_of_a_caller_no_node_is_added(operator: str) -> None:
    made = recurrent(operator)
    assert guards.guard(made) == ["inputs that may not be empty: x"]
    assert [node.op_type for node in made.graph.node] == [operator]


@pytest.mark.parametrize("build", [in_branch, in_function])
@pytest.mark.parametrize("operator", GATES)
def test_within_other_graphs(operator: str, build: Any, tmp_path: Any) -> None:
    source = build(operator).SerializeToString()
    choice = {"c": np.array(True)} if build is in_branch else {}
    assert called(source, sequence(4, 0, 2) | choice) == "SIGABRT", "no test without it"
    model, _ = served(tmp_path, source)
    answer = called(model, sequence(4, 0, 2) | choice)
    assert isinstance(answer, str) and answer.startswith("BadInput")
    one, other = called(source, sequence(4, 1, 2) | choice), called(model, sequence(4, 1, 2) | choice)
    assert np.array_equal(one[0], other[0])


@pytest.mark.parametrize("opset", [11, 18])
def test_that_arises_within(opset: int, tmp_path: Any) -> None:
    source = sliced("GRU", opset).SerializeToString()
    assert called(source, sequence(2, 1, 2)) == "SIGABRT", "no test without it"
    model, _ = served(tmp_path, source)
    answer = called(model, sequence(2, 1, 2))
    assert isinstance(answer, str) and answer.startswith("BadInput")
    one, other = called(source, sequence(4, 1, 2)), called(model, sequence(4, 1, 2))
    assert isinstance(one, list) and np.array_equal(one[0], other[0])
    again = onnx_package.load_from_string(model)
    assert guards.guard(again) == [] or opset < 12


def test_what_a_model_says_of_itself_does_not_count(tmp_path: Any) -> None:
    made = recurrent("LSTM")
    helper.set_model_props(made, {NOT_EMPTY: '["other"]', "author": "someone"})
    model, _ = served(tmp_path, made.SerializeToString())
    assert {e.key: e.value for e in onnx_package.load_from_string(model).metadata_props}["author"] == "someone"
    answer = called(model, sequence(4, 0, 2))
    assert isinstance(answer, str) and answer.startswith("BadInput")
    harmless = proto([helper.make_node("Relu", ["x"], ["y"])])
    helper.set_model_props(harmless, {NOT_EMPTY: '["x"]'})
    model, _ = served(tmp_path, harmless.SerializeToString())
    answer = called(model, {"x": np.zeros(0, np.float32)})
    assert isinstance(answer, list) and answer[0].shape == (0,)


def test_memories_that_are_empty_at_first_stay_allowed() -> None:
    """Keys of earlier calls, joined to this one's: there are none in the first."""
    nodes = [helper.make_node("Concat", ["past", "x"], ["h"], axis=0)]
    inputs = [value("past", ["P", "N", WIDTH]), value("x", ["T", "N", WIDTH])]
    made = recurrent("GRU", nodes, inputs)
    assert guards.guard(made) == ["1 tensors that may not be empty: an error if they are"]
    assert not made.metadata_props
    given = {"past": np.zeros((0, 1, 2), np.float32)} | sequence(3, 1, 2)
    assert isinstance(called(made.SerializeToString(), given), list)


Relative = tuple[Any, dict[str, np.ndarray], dict[str, np.ndarray]]  # a model, what ends it, what it computes


def floats(**shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    return {name: np.ones(shape, np.float32) for name, shape in shapes.items()}


def vectorizer() -> Relative:
    node = helper.make_node("FeatureVectorizer", ["x", "z"], ["y"], domain="ai.onnx.ml", inputdimensions=[2, 2])
    made = proto([node], [value("x", ["N", 2]), value("z", ["N", 2])], [value("y", None)], domains=["ai.onnx.ml"])
    return made, floats(x=(0, 2), z=(0, 2)), floats(x=(3, 2), z=(3, 2))


def transposed() -> Relative:
    kernel = numpy_helper.from_array(np.ones((1, 1, 3, 3), np.float32), "w")
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"])
    made = proto([node], [value("x", ["N", 1, "H", "W"])], [value("y", None)], [kernel], opset=11)
    return made, floats(x=(1, 1, 0, 5)), floats(x=(1, 1, 4, 5))


def unique() -> Relative:
    node = helper.make_node("Unique", ["x"], ["y"], axis=0)
    made = proto([node], [value("x", ["N", "M"])], [value("y", None)])
    return made, floats(x=(3, 0)), floats(x=(3, 2))


def joined_norm() -> Relative:
    """Two standard operators that ONNX Runtime joins to one, which trusts that N is the same in both."""
    scale = numpy_helper.from_array(np.ones(4, np.float32), "g")
    nodes = [helper.make_node("Add", ["x", "z"], ["a"]), helper.make_node("LayerNormalization", ["a", "g", "g"], ["y"])]
    made = proto(nodes, [value("x", ["N", 3, 4]), value("z", ["N", 3, 4])], [value("y", None)], [scale])
    return made, floats(x=(2, 3, 4), z=(0, 3, 4)), floats(x=(2, 3, 4), z=(2, 3, 4))


def window() -> Relative:
    node = helper.make_node("STFT", ["x", "step", "window"], ["y"])
    made = proto([node], [value("x", [1, "T", 1]), value("window", ["W"])], [value("y", None)], [scalar("step", 8)])
    return made, floats(x=(1, 64, 1), window=(0,)), floats(x=(1, 64, 1), window=(8,))


def pooled() -> Relative:
    """A quantised pool with channels in the last place, of an image below its window."""
    constants = [scalar("s", 0.1, np.float32), scalar("z", 3, np.uint8)]
    node = helper.make_node(
        "QLinearAveragePool",
        ["x", "s", "z", "s", "z"],
        ["y"],
        domain="com.microsoft",
        kernel_shape=[2, 2],
        channels_last=1,
    )
    image, scores = value("x", ["N", "H", "W", 2], TensorProto.UINT8), value("y", None, TensorProto.UINT8)
    made = proto([node], [image], [scores], constants, domains=["com.microsoft"])
    return made, {"x": np.ones((1, 1, 4, 2), np.uint8)}, {"x": np.ones((1, 3, 4, 2), np.uint8)}


def positions() -> Relative:
    """As many positions are read as there are words."""
    nodes = [
        helper.make_node(
            "EmbedLayerNormalization", ["ids", "", "t", "t", "", "g", "g", "", "at"], ["y", "m"], domain="com.microsoft"
        )
    ]
    constants = [numpy_helper.from_array(np.ones((9, 4), np.float32), "t")]
    constants.append(numpy_helper.from_array(np.ones(4, np.float32), "g"))
    int32 = TensorProto.INT32
    inputs = [value("ids", ["N", "T"], int32), value("at", ["M", "P"], int32)]
    made = proto(nodes, inputs, [value("y", None)], constants, domains=["com.microsoft"])
    ids = np.ones((4, 4000), np.int32)
    return made, {"ids": ids, "at": np.ones((1, 3), np.int32)}, {"ids": ids, "at": np.ones((4, 4000), np.int32)}


def remembered() -> Relative:
    """Values wider than those of earlier calls."""
    names = ["q", "k", "v", "", "", "", "pk", "pv"]
    node = helper.make_node("MultiHeadAttention", names, ["y", "a", "b"], domain="com.microsoft", num_heads=2)
    inputs = [value(name, ["N", "T", "H"]) for name in ("q", "k")] + [value("v", ["N", "T", "V"])]
    inputs += [value(name, ["N", 2, "P", 2]) for name in ("pk", "pv")]
    made = proto([node], inputs, [value(name, None) for name in "yab"], domains=["com.microsoft"])
    past = floats(q=(2, 3, 4), k=(2, 3, 4), pk=(2, 2, 3, 2), pv=(2, 2, 3, 2))
    return made, past | floats(v=(2, 3, 64)), past | floats(v=(2, 3, 4))


def grouped() -> Relative:
    names = ["q", "k", "v", "pk", "pv", "lengths", "total"]
    node = helper.make_node(
        "GroupQueryAttention", names, ["y", "a", "b"], domain="com.microsoft", num_heads=2, kv_num_heads=1
    )
    inputs = [value("q", ["N", "T", 16])] + [value(name, ["N", "T", 8]) for name in "kv"]
    inputs += [value(name, ["N", 1, "P", 8]) for name in ("pk", "pv")]
    inputs += [value("lengths", ["N"], TensorProto.INT32), value("total", [], TensorProto.INT32)]
    made = proto([node], inputs, [value(name, None) for name in "yab"], domains=["com.microsoft"])

    def of(size: int) -> dict[str, np.ndarray]:
        arrays = floats(q=(size, 1, 16), k=(size, 1, 8), v=(size, 1, 8), pk=(size, 1, 4, 8), pv=(size, 1, 4, 8))
        return arrays | {"lengths": np.full(size, 4, np.int32), "total": np.array(5, np.int32)}

    return made, of(0), of(1)


CERTAIN = [grouped, vectorizer, unique, window, pooled]
# what is read beyond the end of memory may be there; and what `Session` refuses by itself, it refuses of any model
OTHERS = [transposed, positions, remembered, joined_norm]


@pytest.mark.parametrize("build", [*CERTAIN, *OTHERS])
def test_relatives(build: Any, tmp_path: Any) -> None:
    made, nothing, some = build()
    source = made.SerializeToString()
    if build in CERTAIN:
        assert called(source, nothing) in ("SIGABRT", "SIGFPE", "SIGSEGV"), "no test without it"
    model, _ = served(tmp_path, source)
    answer = called(model, nothing)
    assert isinstance(answer, str) and answer.startswith("BadInput"), answer
    before, after = called(source, some), called(model, some)
    assert isinstance(before, list) and isinstance(after, list), (before, after)
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))


def test_a_first_call_that_remembers_nothing(tmp_path: Any) -> None:
    made, _, some = remembered()
    model, _ = served(tmp_path, made.SerializeToString())
    answer = called(model, some | floats(pk=(2, 2, 0, 2), pv=(2, 2, 0, 2)))
    assert isinstance(answer, list) and answer[1].shape == (2, 2, 3, 2)


def test_inputs_that_agree_may_be_empty(tmp_path: Any) -> None:
    made, nothing, _ = joined_norm()
    model, _ = served(tmp_path, made.SerializeToString())
    answer = called(model, {name: array[:0] for name, array in nothing.items()})
    assert isinstance(answer, list) and answer[0].shape == (0, 3, 4)


def test_lengths_are_no_emptiness() -> None:
    """A graph of whole numbers only: nothing is asked of it."""
    made = proto([helper.make_node("Add", ["x", "x"], ["y"])], [value("x", ["N"], INT64)], [value("y", ["N"], INT64)])
    assert guards.guard(made) == []
