"""Empty tensors end in an error, never in a signal, whether a caller sends them or the graph computes them."""

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
    """x [T, N, 2] → y; before: nodes that compute h from x, which the layer then reads."""
    node = helper.make_node(operator, ["h" if before else "x", "w", "r"], ["y"], hidden_size=HIDDEN)
    constants = weights(operator) + more.pop("constants", [])
    x = value("x", ["T", "N", WIDTH])
    return proto([*(before or []), node], inputs or [x], [value("y", None)], constants, opset)


def sliced(operator: str, opset: int = 18) -> Any:
    """x from the third element on: of two, an empty tensor."""
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
def test_an_empty_input(operator: str, shape: tuple[int, ...], tmp_path: Any) -> None:
    source = recurrent(operator).SerializeToString()
    assert called(source, sequence(*shape)) == "SIGABRT", "the source must end it"
    model, _ = served(tmp_path, source)
    answer = called(model, sequence(*shape))
    assert isinstance(answer, str) and "'x'" in answer and "send at least one element" in answer
    one, other = called(source, sequence(4, 1, 2)), called(model, sequence(4, 1, 2))
    assert isinstance(one, list) and isinstance(other, list)
    assert np.array_equal(one[0], other[0])


@pytest.mark.parametrize("operator", GATES)
def test_for_empty_inputs_no_node_is_added(operator: str) -> None:
    onnx_model = recurrent(operator)
    assert guards.guard(onnx_model) == ["inputs that may not be empty: x"]
    assert [node.op_type for node in onnx_model.graph.node] == [operator]


@pytest.mark.parametrize("build", [in_branch, in_function])
@pytest.mark.parametrize("operator", GATES)
def test_an_empty_input_of_an_inner_graph(operator: str, build: Any, tmp_path: Any) -> None:
    source = build(operator).SerializeToString()
    choice = {"c": np.array(True)} if build is in_branch else {}
    assert called(source, sequence(4, 0, 2) | choice) == "SIGABRT", "the source must end it"
    model, _ = served(tmp_path, source)
    answer = called(model, sequence(4, 0, 2) | choice)
    assert isinstance(answer, str) and answer.startswith("BadInput")
    one, other = called(source, sequence(4, 1, 2) | choice), called(model, sequence(4, 1, 2) | choice)
    assert np.array_equal(one[0], other[0])


@pytest.mark.parametrize("opset", [11, 18])
def test_an_empty_tensor_that_the_graph_computes(opset: int, tmp_path: Any) -> None:
    source = sliced("GRU", opset).SerializeToString()
    assert called(source, sequence(2, 1, 2)) == "SIGABRT", "the source must end it"
    model, _ = served(tmp_path, source)
    answer = called(model, sequence(2, 1, 2))
    assert isinstance(answer, str) and answer.startswith("BadInput")
    one, other = called(source, sequence(4, 1, 2)), called(model, sequence(4, 1, 2))
    assert isinstance(one, list) and np.array_equal(one[0], other[0])
    again = onnx_package.load_from_string(model)
    assert guards.guard(again) == [] or opset < 12


def test_metadata_of_an_uploaded_model_is_not_trusted(tmp_path: Any) -> None:
    onnx_model = recurrent("LSTM")
    helper.set_model_props(onnx_model, {NOT_EMPTY: '["other"]', "author": "someone"})
    model, _ = served(tmp_path, onnx_model.SerializeToString())
    assert {e.key: e.value for e in onnx_package.load_from_string(model).metadata_props}["author"] == "someone"
    answer = called(model, sequence(4, 0, 2))
    assert isinstance(answer, str) and answer.startswith("BadInput")
    harmless = proto([helper.make_node("Relu", ["x"], ["y"])])
    helper.set_model_props(harmless, {NOT_EMPTY: '["x"]'})
    model, _ = served(tmp_path, harmless.SerializeToString())
    answer = called(model, {"x": np.zeros(0, np.float32)})
    assert isinstance(answer, list) and answer[0].shape == (0,)


def test_an_empty_past_of_a_first_call_stays_allowed() -> None:
    """Keys of earlier calls, joined to this call's: the first call has none."""
    nodes = [helper.make_node("Concat", ["past", "x"], ["h"], axis=0)]
    inputs = [value("past", ["P", "N", WIDTH]), value("x", ["T", "N", WIDTH])]
    onnx_model = recurrent("GRU", nodes, inputs)
    assert guards.guard(onnx_model) == ["1 tensors that may not be empty: an error if they are"]
    assert not onnx_model.metadata_props
    feeds = {"past": np.zeros((0, 1, 2), np.float32)} | sequence(3, 1, 2)
    assert isinstance(called(onnx_model.SerializeToString(), feeds), list)


Relative = tuple[
    Any, dict[str, np.ndarray], dict[str, np.ndarray]
]  # a model, inputs that end the process, inputs that it takes


def floats(**shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    return {name: np.ones(shape, np.float32) for name, shape in shapes.items()}


def vectorizer() -> Relative:
    node = helper.make_node("FeatureVectorizer", ["x", "z"], ["y"], domain="ai.onnx.ml", inputdimensions=[2, 2])
    onnx_model = proto([node], [value("x", ["N", 2]), value("z", ["N", 2])], [value("y", None)], domains=["ai.onnx.ml"])
    return onnx_model, floats(x=(0, 2), z=(0, 2)), floats(x=(3, 2), z=(3, 2))


def transposed() -> Relative:
    kernel = numpy_helper.from_array(np.ones((1, 1, 3, 3), np.float32), "w")
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"])
    onnx_model = proto([node], [value("x", ["N", 1, "H", "W"])], [value("y", None)], [kernel], opset=11)
    return onnx_model, floats(x=(1, 1, 0, 5)), floats(x=(1, 1, 4, 5))


def unique() -> Relative:
    node = helper.make_node("Unique", ["x"], ["y"], axis=0)
    onnx_model = proto([node], [value("x", ["N", "M"])], [value("y", None)])
    return onnx_model, floats(x=(3, 0)), floats(x=(3, 2))


def joined_norm() -> Relative:
    """Two standard operators that ONNX Runtime fuses to one, which relies on N being the same in both."""
    scale = numpy_helper.from_array(np.ones(4, np.float32), "g")
    nodes = [helper.make_node("Add", ["x", "z"], ["a"]), helper.make_node("LayerNormalization", ["a", "g", "g"], ["y"])]
    onnx_model = proto(nodes, [value("x", ["N", 3, 4]), value("z", ["N", 3, 4])], [value("y", None)], [scale])
    return onnx_model, floats(x=(2, 3, 4), z=(0, 3, 4)), floats(x=(2, 3, 4), z=(2, 3, 4))


def window() -> Relative:
    node = helper.make_node("STFT", ["x", "step", "window"], ["y"])
    onnx_model = proto(
        [node], [value("x", [1, "T", 1]), value("window", ["W"])], [value("y", None)], [scalar("step", 8)]
    )
    return onnx_model, floats(x=(1, 64, 1), window=(0,)), floats(x=(1, 64, 1), window=(8,))


def pooled() -> Relative:
    """A quantized pool with channels on the last axis, of an image below its window."""
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
    onnx_model = proto([node], [image], [scores], constants, domains=["com.microsoft"])
    return onnx_model, {"x": np.ones((1, 1, 4, 2), np.uint8)}, {"x": np.ones((1, 3, 4, 2), np.uint8)}


def positions() -> Relative:
    """The kernel reads a position for each token, however few there are."""
    nodes = [
        helper.make_node(
            "EmbedLayerNormalization", ["ids", "", "t", "t", "", "g", "g", "", "at"], ["y", "m"], domain="com.microsoft"
        )
    ]
    constants = [numpy_helper.from_array(np.ones((9, 4), np.float32), "t")]
    constants.append(numpy_helper.from_array(np.ones(4, np.float32), "g"))
    int32 = TensorProto.INT32
    inputs = [value("ids", ["N", "T"], int32), value("at", ["M", "P"], int32)]
    onnx_model = proto(nodes, inputs, [value("y", None)], constants, domains=["com.microsoft"])
    ids = np.ones((4, 4000), np.int32)
    return onnx_model, {"ids": ids, "at": np.ones((1, 3), np.int32)}, {"ids": ids, "at": np.ones((4, 4000), np.int32)}


def remembered() -> Relative:
    """Values wider than those of earlier calls."""
    names = ["q", "k", "v", "", "", "", "pk", "pv"]
    node = helper.make_node("MultiHeadAttention", names, ["y", "a", "b"], domain="com.microsoft", num_heads=2)
    inputs = [value(name, ["N", "T", "H"]) for name in ("q", "k")] + [value("v", ["N", "T", "V"])]
    inputs += [value(name, ["N", 2, "P", 2]) for name in ("pk", "pv")]
    onnx_model = proto([node], inputs, [value(name, None) for name in "yab"], domains=["com.microsoft"])
    past = floats(q=(2, 3, 4), k=(2, 3, 4), pk=(2, 2, 3, 2), pv=(2, 2, 3, 2))
    return onnx_model, past | floats(v=(2, 3, 64)), past | floats(v=(2, 3, 4))


def grouped() -> Relative:
    names = ["q", "k", "v", "pk", "pv", "lengths", "total"]
    node = helper.make_node(
        "GroupQueryAttention", names, ["y", "a", "b"], domain="com.microsoft", num_heads=2, kv_num_heads=1
    )
    inputs = [value("q", ["N", "T", 16])] + [value(name, ["N", "T", 8]) for name in "kv"]
    inputs += [value(name, ["N", 1, "P", 8]) for name in ("pk", "pv")]
    inputs += [value("lengths", ["N"], TensorProto.INT32), value("total", [], TensorProto.INT32)]
    onnx_model = proto([node], inputs, [value(name, None) for name in "yab"], domains=["com.microsoft"])

    def of(size: int) -> dict[str, np.ndarray]:
        arrays = floats(q=(size, 1, 16), k=(size, 1, 8), v=(size, 1, 8), pk=(size, 1, 4, 8), pv=(size, 1, 4, 8))
        return arrays | {"lengths": np.full(size, 4, np.int32), "total": np.array(5, np.int32)}

    return onnx_model, of(0), of(1)


CERTAIN = [grouped, vectorizer, unique, window, pooled]
# reading beyond the end of memory need not end the process; and `Session` refuses joined_norm's input of any model
OTHERS = [transposed, positions, remembered, joined_norm]


@pytest.mark.parametrize("build", [*CERTAIN, *OTHERS])
def test_other_operators(build: Any, tmp_path: Any) -> None:
    onnx_model, nothing, some = build()
    source = onnx_model.SerializeToString()
    if build in CERTAIN:
        assert called(source, nothing) in ("SIGABRT", "SIGFPE", "SIGSEGV"), "the source must end it"
    model, _ = served(tmp_path, source)
    answer = called(model, nothing)
    assert isinstance(answer, str) and answer.startswith("BadInput"), answer
    before, after = called(source, some), called(model, some)
    assert isinstance(before, list) and isinstance(after, list), (before, after)
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))


def test_a_first_call_without_a_past(tmp_path: Any) -> None:
    onnx_model, _, some = remembered()
    model, _ = served(tmp_path, onnx_model.SerializeToString())
    answer = called(model, some | floats(pk=(2, 2, 0, 2), pv=(2, 2, 0, 2)))
    assert isinstance(answer, list) and answer[1].shape == (2, 2, 3, 2)


def test_inputs_that_are_all_empty_are_allowed(tmp_path: Any) -> None:
    onnx_model, nothing, _ = joined_norm()
    model, _ = served(tmp_path, onnx_model.SerializeToString())
    answer = called(model, {name: array[:0] for name, array in nothing.items()})
    assert isinstance(answer, list) and answer[0].shape == (0, 3, 4)


def test_integers_get_no_guard() -> None:
    """A graph of integers only gets no guard."""
    onnx_model = proto(
        [helper.make_node("Add", ["x", "x"], ["y"])], [value("x", ["N"], INT64)], [value("y", ["N"], INT64)]
    )
    assert guards.guard(onnx_model) == []
