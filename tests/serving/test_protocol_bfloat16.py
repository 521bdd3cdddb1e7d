"""BF16, which numpy lacks and ONNX Runtime's ordinary call cannot carry, beside every other kind of tensor."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from shared.errors import BadInput
from shared.runtime import onnx
from shared.runtime.arrays import BF16, to_bfloat16, widen_bfloat16
from shared.serving import protocol
from tests.serving.wire import message

KINDS = {"h": TensorProto.BFLOAT16, "f": TensorProto.FLOAT, "i": TensorProto.INT64, "b": TensorProto.BOOL}


def mixed() -> onnx.Session:
    """Inputs h, f, i and b, of any length, each given back under its name in capitals; S, i as text; F2 = h + f."""
    nodes = [helper.make_node("Identity", [name], [name.upper()]) for name in KINDS]
    nodes += [
        helper.make_node("Cast", ["h"], ["wide"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["wide", "f"], ["F2"]),
        helper.make_node("Cast", ["i"], ["S"], to=TensorProto.STRING),
    ]
    graph = helper.make_graph(
        nodes,
        "mixed",
        [helper.make_tensor_value_info(name, kind, ["N"]) for name, kind in KINDS.items()],
        [helper.make_tensor_value_info(name.upper(), kind, ["N"]) for name, kind in KINDS.items()]
        + [helper.make_tensor_value_info("S", TensorProto.STRING, ["N"])]
        + [helper.make_tensor_value_info("F2", TensorProto.FLOAT, ["N"])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return onnx.load(model.SerializeToString())


FEEDS = {
    "h": to_bfloat16(np.array([1.5, -2.0, 3.0], np.float32)),
    "f": np.array([0.25, 0.5, 1], np.float32),
    "i": np.array([1, -2, 2**60]),
    "b": np.array([True, False, True]),
}


def test_it_goes_in_and_out_beside_all_others() -> None:
    outputs = mixed().run(None, FEEDS)
    assert outputs[0].dtype == BF16
    assert widen_bfloat16(outputs[0]).tolist() == [1.5, -2.0, 3.0]
    assert [o.tolist() for o in outputs[1:]] == [
        [0.25, 0.5, 1],
        [1, -2, 2**60],
        [True, False, True],
        ["1", "-2", str(2**60)],
        [1.75, -1.5, 4.0],
    ]


def test_some_outputs_in_another_order() -> None:
    outputs = mixed().run(["S", "H"], FEEDS)
    assert outputs[0].tolist() == ["1", "-2", str(2**60)]
    assert outputs[1].tobytes() == FEEDS["h"].tobytes()


def test_strided_values_are_read_as_they_are() -> None:
    session = mixed()
    strided = {name: np.repeat(array, 2)[::2] for name, array in FEEDS.items()}
    backwards = {name: np.ascontiguousarray(array[::-1])[::-1] for name, array in FEEDS.items()}
    for feeds in (strided, backwards):
        assert not feeds["h"].flags.c_contiguous
        outputs = session.run(["H", "F2"], feeds)
        assert outputs[0].tobytes() == FEEDS["h"].tobytes()
        assert outputs[1].tolist() == [1.75, -1.5, 4.0]


def test_answers_outlive_the_session() -> None:
    outputs = mixed().run(None, {name: np.repeat(array, 10_000) for name, array in FEEDS.items()})
    for _ in range(20):
        np.full(100_000, 7.0, np.float32)  # would land in memory that was given back
    assert widen_bfloat16(outputs[0]).tolist() == [1.5] * 10_000 + [-2.0] * 10_000 + [3.0] * 10_000
    assert outputs[1].tolist() == [0.25] * 10_000 + [0.5] * 10_000 + [1] * 10_000


def test_text_in_is_what_it_cannot_be_beside() -> None:
    graph = helper.make_graph(
        [helper.make_node("Identity", ["h"], ["H"]), helper.make_node("Identity", ["s"], ["S"])],
        "text",
        [helper.make_tensor_value_info("h", TensorProto.BFLOAT16, [3]), helper.make_tensor_value_info("s", 8, [1])],
        [helper.make_tensor_value_info("H", TensorProto.BFLOAT16, [3]), helper.make_tensor_value_info("S", 8, [1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    with pytest.raises(BadInput, match="non-string"):
        onnx.load(model.SerializeToString()).run(None, {"h": FEEDS["h"], "s": np.array(["a"], object)})


def test_it_is_two_bytes_in_binary() -> None:
    body, headers = message(
        [
            (name, {"h": "BF16", "f": "FP32", "i": "INT64", "b": "BOOL"}[name], array, True)
            for name, array in FEEDS.items()
        ]
    )
    signature = [onnx.TensorSpec(s.name, s.datatype, s.shape) for s in mixed().inputs]
    arrays = protocol.feeds(protocol.parse(body, headers), signature)  # type: ignore[arg-type]  # of the same members
    assert arrays["h"].tobytes() == bytes.fromhex("c03f00c04040")
    assert mixed().run(["F2"], arrays)[0].tolist() == [1.75, -1.5, 4.0]
