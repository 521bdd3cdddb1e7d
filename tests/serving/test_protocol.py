"""Open Inference Protocol V2 with JSON tensors: every datatype, and every way to get it wrong."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from shared.errors import BadInput, NotImplemented_
from shared.package.manifest import Tensor
from shared.runtime.arrays import to_bfloat16
from shared.serving import protocol
from shared.serving.protocol import ParsedRequest, RequestedOutput

SIGNATURE = [Tensor("x", "FP32", [-1, 2])]


def request(body: dict[str, Any] | None = None, **changes: Any) -> ParsedRequest:
    tensor = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1.0, 2.0]} | changes
    return protocol.parse(json.dumps({"inputs": [tensor]} | (body or {})).encode(), {})


def answered(array: np.ndarray, request_id: str | None = None) -> dict[str, Any]:
    reply = protocol.answer("m", 3, request_id, [(RequestedOutput("y"), array)])
    assert reply.headers == {"Content-Type": "application/json"}
    return json.loads(reply.body)


@pytest.mark.parametrize("data", [[1, 2, 3, 4], [[1, 2], [3, 4]], [[1.0, 2.0], [3, 4]]])
def test_flat_and_nested(data: list) -> None:
    array = protocol.feeds(request(shape=[2, 2], data=data), SIGNATURE)["x"]
    assert array.dtype == np.float32
    assert array.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("datatype", "values"),
    [
        ("BOOL", [True, False]),
        ("UINT8", [0, 255]),
        ("UINT16", [0, 65535]),
        ("UINT32", [0, 2**32 - 1]),
        ("UINT64", [0, 2**64 - 1]),
        ("INT8", [-128, 127]),
        ("INT16", [-(2**15), 2**15 - 1]),
        ("INT32", [-(2**31), 2**31 - 1]),
        ("INT64", [-(2**63), 2**63 - 1]),
        ("FP16", [0.5, -2.0]),
        ("BF16", [0.5, -65536.0]),
        ("FP32", [0.5, -2.0]),
        ("FP64", [0.1, 1e300]),
        ("BYTES", ["", "größe"]),
    ],
)
def test_datatypes_survive_the_round_trip(datatype: str, values: list) -> None:
    signature = [Tensor("x", datatype, [2])]
    array = protocol.feeds(request(shape=[2], datatype=datatype, data=values), signature)["x"]
    answer = answered(array, "id-1")
    assert answer["outputs"] == [{"name": "y", "datatype": datatype, "shape": [2], "data": values}]
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("m", "3", "id-1")


@pytest.mark.parametrize(
    ("value", "bits"),
    [
        (1.0, 0x3F80),
        (1.00390625, 0x3F80),  # halfway: to the even one
        (1.01171875, 0x3F82),
        (1.0040, 0x3F81),
        (-0.0, 0x8000),
        (1e-40, 0x0001),
        (3.3895314e38, 0x7F7F),
    ],
)
def test_bfloat16_is_rounded_to_the_nearest(value: float, bits: int) -> None:
    array = protocol.feeds(request(shape=[1], datatype="BF16", data=[value]), [Tensor("x", "BF16", [1])])["x"]
    assert int.from_bytes(array.tobytes(), "little") == bits


def test_bfloat16_has_infinities_and_no_number() -> None:
    bits = to_bfloat16(np.array([np.inf, -np.inf, np.nan], np.float32)).tobytes()
    assert bits == bytes.fromhex("807f80ffc07f")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "z"}, "no input 'z'"),
        ({"datatype": "FP64"}, "takes FP32"),
        ({"datatype": "FLOAT"}, "takes FP32"),
        ({"shape": [1, 3], "data": [1, 2, 3]}, r"takes \[-1, 2\]"),
        ({"shape": [2]}, r"takes \[-1, 2\]"),
        ({"shape": [-1, 2]}, "shape"),
        ({"shape": [2**62, 2]}, "shape"),
        ({"shape": [2**40, 0]}, "shape"),
        ({"data": [1.0]}, "1 values"),
        ({"data": [1.0, 2.0, 3.0]}, "3 values"),
        ({"data": [[1.0], [2.0]]}, "values in shape"),
        ({"data": [[1.0, 2.0], [3.0]]}, "regular array"),
        ({"data": ["1.0", "2.0"]}, "text"),
        ({"data": [True, False]}, r"at \[0\]: true is a boolean, not a value of FP32"),
        ({"data": [1.0, True]}, r"at \[1\]: true is a boolean"),
        ({"data": [None, 1.0]}, "null is no value"),
        ({"data": {"a": 1}}, "is an object"),
        ({"data": None}, "no data"),
        ({"data": [1e39, 0]}, r"at \[0\]: 1e\+39 is outside the range of FP32"),
    ],
)
def test_what_does_not_fit_is_named(changes: dict, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        protocol.feeds(request(**changes), SIGNATURE)


@pytest.mark.parametrize(
    ("datatype", "data"),
    [
        ("INT8", [128]),
        ("UINT8", [-1]),
        ("INT64", [2**63]),
        ("UINT64", [2**64]),
        ("INT32", [1.5]),
        ("BOOL", [1]),
        ("BYTES", [1]),
        ("FP16", [1e6]),
        ("BF16", [3.4e38]),
        ("BF16", ["1"]),
        ("UINT64", [-1]),
    ],
)
def test_values_are_never_bent_to_fit(datatype: str, data: list) -> None:
    with pytest.raises(BadInput):
        protocol.feeds(request(shape=[1], datatype=datatype, data=data), [Tensor("x", datatype, [1])])


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"inputs": 3}', b'{"inputs": [{"name": "x"}]}', b"\xff"])
def test_bodies_that_are_no_request(body: bytes) -> None:
    with pytest.raises(BadInput):
        protocol.parse(body, {})


def test_missing_and_double_inputs() -> None:
    with pytest.raises(BadInput, match="lacks the inputs"):
        protocol.feeds(request({"inputs": []}), SIGNATURE)
    one = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}
    with pytest.raises(BadInput, match="twice"):
        protocol.feeds(request({"inputs": [one, one]}), SIGNATURE)


def test_optional_inputs_may_be_left_out() -> None:
    optional = [Tensor("scale", "FP32", [1])]
    assert set(protocol.feeds(request(), SIGNATURE, optional)) == {"x"}
    scale = {"name": "scale", "shape": [1], "datatype": "FP32", "data": [3]}
    both = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}, scale]}
    assert protocol.feeds(request(both), SIGNATURE, optional)["scale"].tolist() == [3]
    with pytest.raises(BadInput, match=r"shape \[2\], the model takes \[1\]"):
        protocol.feeds(request({"inputs": [scale | {"shape": [2], "data": [3, 3]}]}), SIGNATURE, optional)
    with pytest.raises(BadInput, match=r"lacks the inputs \['x'\]"):
        protocol.feeds(request({"inputs": [scale]}), SIGNATURE, optional)


def test_outputs_are_chosen_by_name_and_answered_in_that_order() -> None:
    signature = [Tensor("a", "FP32", [1]), Tensor("b", "FP32", [1])]
    chosen = protocol.requested_outputs(request({"outputs": [{"name": "b"}, {"name": "a"}]}), signature)
    assert [output.name for output in chosen] == ["b", "a"]
    assert [output.name for output in protocol.requested_outputs(request(), signature)] == ["a", "b"]
    with pytest.raises(BadInput, match="no output 'c'"):
        protocol.requested_outputs(request({"outputs": [{"name": "c"}]}), signature)
    with pytest.raises(BadInput, match="twice"):
        protocol.requested_outputs(request({"outputs": [{"name": "a"}, {"name": "a"}]}), signature)


def test_parameters_are_taken_and_null_is_absent() -> None:
    body = {"parameters": {"sequence_id": 7, "priority": 1, "timeout": 10, "custom": "x"}, "id": None, "outputs": None}
    parsed = request(body, parameters=None)
    assert protocol.feeds(parsed, SIGNATURE)["x"].tolist() == [[1, 2]]
    assert protocol.requested_outputs(parsed, [Tensor("y", "FP32", [1])]) == [RequestedOutput("y")]
    assert protocol.requested_outputs(request({"parameters": None}), [Tensor("y", "FP32", [1])]) == [
        RequestedOutput("y")
    ]


def test_no_shared_memory() -> None:
    parameters = {"shared_memory_region": "r", "shared_memory_byte_size": 8}
    with pytest.raises(NotImplemented_, match=r"'x'.*memory"):
        protocol.feeds(request(data=None, parameters=parameters), SIGNATURE)
    with pytest.raises(NotImplemented_, match=r"'x'.*memory"):
        protocol.requested_outputs(request({"outputs": [{"name": "x", "parameters": parameters}]}), SIGNATURE)


def test_not_a_number_is_null() -> None:
    answer = answered(np.array([np.nan, np.inf, 1.0], np.float32))
    assert answer["outputs"][0]["data"] == [None, None, 1.0]
    assert "id" not in answer


def test_zero_elements_and_rank_zero() -> None:
    array = protocol.feeds(request(shape=[0, 2], data=[]), SIGNATURE)["x"]
    assert array.shape == (0, 2)
    scalar = protocol.feeds(request(shape=[], data=[7]), [Tensor("x", "FP32", [])])["x"]
    assert scalar.shape == ()
    assert answered(scalar)["outputs"][0]["shape"] == []
    assert answered(np.zeros((0, 3), np.float32))["outputs"][0] == {
        "name": "y",
        "datatype": "FP32",
        "shape": [0, 3],
        "data": [],
    }
