"""Aligned weights: the same model for every tool, mapped by ONNX Runtime, and its file not needed afterwards."""

from __future__ import annotations

import mmap
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx as onnx_package
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from shared.ingest import graph
from shared.runtime import layout, onnx

MAPS = Path("/proc/self/maps")


def model(sizes: list[int], doc: str = "", names: int = 3) -> bytes:
    """y = x + all weights' sums, the weights of these lengths, at offsets that their names shift."""
    weights, nodes, last = [], [], "x"
    for n, size in enumerate(sizes):
        tensor = numpy_helper.from_array(np.arange(size, dtype=np.float32) + n, f"w{n}" + "_" * (n * names % 67))
        tensor.doc_string = doc
        weights.append(tensor)
        nodes.append(helper.make_node("ReduceSum", [tensor.name], [f"s{n}"], keepdims=0))
        nodes.append(helper.make_node("Add", [last, f"s{n}"], [f"y{n}"]))
        last = f"y{n}"
    nodes.append(helper.make_node("Identity", [last], ["y"]))
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in "xy")
    proto = helper.make_model(
        helper.make_graph(nodes, "g", [x], [y], weights), opset_imports=[helper.make_opsetid("", 17)]
    )
    proto.ir_version = 9
    return proto.SerializeToString()


def expected(sizes: list[int]) -> float:
    return float(sum(np.sum(np.arange(size, dtype=np.float32) + n) for n, size in enumerate(sizes)))


def plain(body: bytes) -> onnx_package.ModelProto:
    """The model without the doc strings of its tensors."""
    parsed = onnx_package.load_model_from_string(body)
    for tensor in parsed.graph.initializer:
        tensor.ClearField("doc_string")
    return parsed


def large(body: bytes) -> list[layout.Field]:
    [body_field] = [field for field in layout.fields(body, 0, len(body)) if field.number == layout.GRAPH]
    tensors = [f for f in layout.fields(body, body_field.content, body_field.end) if f.number == layout.INITIALIZER]
    return [raw for raw in (layout._raw(body, tensor) for tensor in tensors) if raw]


TYPES = ["FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16", "INT8", "UINT8", "INT16", "UINT16", "INT32", "UINT32", "INT64"]
TYPES += ["UINT64", "BOOL", "INT4", "UINT4", "FLOAT8E4M3FN"]
SIZES = st.lists(st.sampled_from([1, 255, 256, 257, 1000, 4096, 30_000]), min_size=1, max_size=8)


@settings(max_examples=150, deadline=None)
@given(SIZES, st.sampled_from(["", "what it is", " " * 90]), st.integers(0, 66))
def test_the_aligned_model_is_the_same_model(sizes: list[int], doc: str, names: int) -> None:
    body = model(sizes, doc, names)
    placed = layout.aligned(body)
    assert plain(placed) == plain(body)
    if doc:
        assert {t.doc_string for t in onnx_package.load_model_from_string(placed).graph.initializer} == {doc}
    assert [raw.content % layout.ALIGNMENT for raw in large(placed)] == [0] * sum(size >= 256 for size in sizes)
    assert layout.aligned(placed) is placed
    assert len(placed) <= len(body) + 80 * len(sizes) + 8
    graph.parse(placed)  # what the gate reads when it is uploaded again
    onnx_package.checker.check_model(placed)


@settings(max_examples=30, deadline=None)
@given(SIZES, st.booleans())
def test_what_is_mapped_answers_alike(tmp_path_factory: pytest.TempPathFactory, sizes: list[int], align: bool) -> None:
    path = tmp_path_factory.mktemp("model") / "a file with blanks"
    path.write_bytes(layout.aligned(model(sizes)) if align else model(sizes))
    for mapped in (True, False):
        session = onnx.load(str(path), mapped=mapped)
        answer = session.run(["y"], {"x": np.zeros(2, np.float32)})[0].tolist()
        assert answer == pytest.approx([expected(sizes)] * 2, rel=1e-5)


def test_weights_are_mapped_and_outlive_their_file(tmp_path: Path) -> None:
    path = tmp_path / "m"
    path.write_bytes(layout.aligned(model([300_000])))
    session = onnx.load(str(path), optimize="off")  # otherwise the sum would be computed once and for all
    assert str(path) in MAPS.read_text()
    path.unlink()
    assert session.run(["y"], {"x": np.zeros(1, np.float32)})[0] == pytest.approx(expected([300_000]), rel=1e-4)
    del session
    assert str(path) not in MAPS.read_text()


def test_a_file_that_is_read_is_not_mapped(tmp_path: Path) -> None:
    path = tmp_path / "m"
    path.write_bytes(layout.aligned(model([300_000])))
    session = onnx.load(str(path), optimize="off", mapped=False)
    assert str(path) not in MAPS.read_text()
    assert session.outputs[0].name == "y"


def weight_of(kind: int, array: np.ndarray) -> bytes:
    """y = the weight that is named by x, of any type. array: of that type, as the onnx package has it."""
    tensor = numpy_helper.from_array(array, "w")
    assert tensor.data_type == kind
    x = helper.make_tensor_value_info("x", TensorProto.INT64, ["n"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])
    nodes = [
        helper.make_node("Cast", ["w"], ["all"], to=TensorProto.FLOAT),
        helper.make_node("Gather", ["all", "x"], ["y"]),
    ]
    proto = helper.make_model(
        helper.make_graph(nodes, "g", [x], [y], [tensor]), opset_imports=[helper.make_opsetid("", 21)], ir_version=10
    )
    return layout.aligned(proto.SerializeToString())


@pytest.mark.parametrize("kind", TYPES)
def test_weights_of_any_type_are_given_from_memory(kind: str) -> None:
    number = getattr(TensorProto, kind)
    values = np.arange(8192) % 7
    body = weight_of(number, values.astype(helper.tensor_dtype_to_np_dtype(number)))
    file = memory_of(body)
    session = onnx.load_memory(file)
    expected = (values != 0) if kind == "BOOL" else values
    assert len(layout.weights(file)) == 1
    assert session.run(["y"], {"x": np.array([0, 3, 8191])})[0].tolist() == expected[[0, 3, 8191]].tolist()


def memory_of(body: bytes) -> mmap.mmap:
    memory = mmap.mmap(-1, len(body))
    memory[:] = body
    return memory


@pytest.mark.parametrize("shape", [[8191], [8193], [2, 8192], [-1, 8192], [1 << 62, 4]])
def test_a_weight_of_another_length_than_its_shape_is_no_model(shape: list[int]) -> None:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=shape, raw_data=bytes(4 * 8192))
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "xy")
    node = helper.make_node("Add", ["x", "w"], ["y"])
    proto = helper.make_model(helper.make_graph([node], "g", [x], [y], [tensor]), ir_version=9)
    with pytest.raises(onnx.Unloadable):
        onnx.load_memory(memory_of(layout.aligned(proto.SerializeToString())))


def test_small_tensors_and_odd_ones_stay_inside() -> None:
    assert layout.mapped(model([255, 1, 30]), "m") is None
    placed = layout.aligned(model([255, 4096]))
    assert b"offset" in (layout.mapped(placed, "m") or b"")
    assert len(layout.mapped(placed, "m") or placed) < 3000


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_what_is_not_a_model_raises_only_value_error(data: st.DataObject) -> None:
    body = bytearray(model([300, 2]))
    for _ in range(data.draw(st.integers(1, 5))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(body[: data.draw(st.integers(0, len(body)))])
    for work in (layout.aligned, layout.weights, lambda data: layout.mapped(data, "m")):
        with suppress(ValueError):
            work(cut)


@pytest.mark.parametrize("body", [b"", b"\x3a\x00\x3a\x00", b"\x3b", b"\x3a\x05ab", b"\x80" * 20])
def test_not_one_graph(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"graph|wire|longer|number"):
        layout.aligned(body)


def test_a_file_that_is_not_a_model_is_refused_by_onnx_runtime(tmp_path: Path) -> None:
    for body in (b"", b"text", model([300])[:-20]):
        (tmp_path / "m").write_bytes(body)
        with pytest.raises(onnx.Unloadable, match="cannot load"):
            onnx.load(str(tmp_path / "m"))
