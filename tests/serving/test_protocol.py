"""Open Inference Protocol V2 with JSON tensors: every datatype, and every way to get it wrong."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from shared.errors import AmaasError, BadInput
from shared.registry.manifest import Tensor
from shared.serving import protocol

SIGNATURE = [Tensor("x", "FP32", [-1, 2])]


def request(**changes: Any) -> protocol.InferRequest:
    tensor = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1.0, 2.0]} | changes
    return protocol.parse(json.dumps({"inputs": [tensor]}).encode(), {})


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
        ("FP32", [0.5, -2.0]),
        ("FP64", [0.1, 1e300]),
        ("BYTES", ["", "größe"]),
    ],
)
def test_datatypes_survive_the_round_trip(datatype: str, values: list) -> None:
    signature = [Tensor("x", datatype, [2])]  # type: ignore[arg-type]
    array = protocol.feeds(request(shape=[2], datatype=datatype, data=values), signature)["x"]
    answer = json.loads(protocol.answer("m", 3, "id-1", {"y": array}))
    assert answer["outputs"] == [{"name": "y", "datatype": datatype, "shape": [2], "data": values}]
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("m", "3", "id-1")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "z"}, "no input 'z'"),
        ({"datatype": "FP64"}, "takes FP32"),
        ({"datatype": "FLOAT"}, "takes FP32"),
        ({"shape": [1, 3], "data": [1, 2, 3]}, r"takes \[-1, 2\]"),
        ({"shape": [2]}, r"takes \[-1, 2\]"),
        ({"shape": [-1, 2]}, "shape"),
        ({"data": [1.0]}, "1 values"),
        ({"data": [1.0, 2.0, 3.0]}, "3 values"),
        ({"data": [[1.0], [2.0]]}, "values in shape"),
        ({"data": [[1.0, 2.0], [3.0]]}, "regular array"),
        ({"data": ["1.0", "2.0"]}, "text"),
        ({"data": [True, False]}, "booleans"),
        ({"data": [None, 1.0]}, "mixed"),
        ({"data": {"a": 1}}, "values"),
        ({"data": None}, "no data"),
        ({"data": [1e39, 0]}, "range"),
        ({"shape": [2**62, 2]}, "values"),
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
        ("UINT64", [-1]),
    ],
)
def test_values_are_never_bent_to_fit(datatype: str, data: list) -> None:
    with pytest.raises(BadInput):
        protocol.feeds(request(shape=[1], datatype=datatype, data=data), [Tensor("x", datatype, [1])])  # type: ignore


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"inputs": 3}', b'{"inputs": [{"name": "x"}]}', b"\xff"])
def test_bodies_that_are_no_request(body: bytes) -> None:
    with pytest.raises(BadInput):
        protocol.parse(body, {})


def test_missing_and_double_inputs() -> None:
    with pytest.raises(BadInput, match="lacks the inputs"):
        protocol.feeds(protocol.InferRequest(inputs=[]), SIGNATURE)
    twice = request().inputs * 2
    with pytest.raises(BadInput, match="twice"):
        protocol.feeds(protocol.InferRequest(inputs=twice), SIGNATURE)


def test_outputs_are_chosen_by_name() -> None:
    signature = [Tensor("a", "FP32", [1]), Tensor("b", "FP32", [1])]
    asked = protocol.InferRequest(inputs=[], outputs=[protocol.InferOutput("b")])
    assert protocol.wanted(asked, signature) == ["b"]
    assert protocol.wanted(protocol.InferRequest(inputs=[]), signature) == ["a", "b"]
    with pytest.raises(BadInput, match="no output 'c'"):
        protocol.wanted(protocol.InferRequest(inputs=[], outputs=[protocol.InferOutput("c")]), signature)


def test_what_is_not_served_says_so() -> None:
    for headers in ({"inference-header-content-length": "10"}, {"content-encoding": "br"}):
        with pytest.raises(AmaasError, match=r"not supported|not taken"):
            protocol.parse(b"{}", headers)


def test_not_a_number_is_null() -> None:
    answer = json.loads(protocol.answer("m", 1, None, {"y": np.array([np.nan, np.inf, 1.0], np.float32)}))
    assert answer["outputs"][0]["data"] == [None, None, 1.0]
    assert "id" not in answer


def test_zero_elements_and_rank_zero() -> None:
    array = protocol.feeds(request(shape=[0, 2], data=[]), SIGNATURE)["x"]
    assert array.shape == (0, 2)
    scalar = protocol.feeds(request(shape=[], data=[7]), [Tensor("x", "FP32", [])])["x"]
    assert scalar.shape == ()
    assert json.loads(protocol.answer("m", 1, None, {"y": scalar}))["outputs"][0]["shape"] == []
