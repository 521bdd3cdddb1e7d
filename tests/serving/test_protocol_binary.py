"""The binary tensor data extension: in, out, mixed with JSON, without any JSON; and every way to get it wrong."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest

from shared.errors import AmaasError, BadInput
from shared.package.manifest import Tensor
from shared.serving import protocol
from shared.serving.protocol import ParsedRequest, RequestedOutput
from tests.serving.wire import message

X = Tensor("x", "FP32", [-1, 2])
PAIR = np.array([[1, 2]], np.float32)
TWO = [X, Tensor("s", "BYTES", [-1])]
LENGTH = "inference-header-content-length"


def request(
    tail: bytes, length: str | None = None, body: dict[str, Any] | None = None, **changes: Any
) -> ParsedRequest:
    tensor = {"name": "x", "shape": [1, 2], "datatype": "FP32", "parameters": {"binary_data_size": 8}} | changes
    document = json.dumps({"inputs": [tensor]} | (body or {})).encode()
    return protocol.parse(document + tail, {LENGTH: str(len(document)) if length is None else length})


def test_binary_and_json_side_by_side() -> None:
    text = np.array(["größe", ""], object)
    for binary_x, binary_s in ((True, True), (True, False), (False, True), (False, False)):
        body, headers = message([("s", "BYTES", text, binary_s), ("x", "FP32", PAIR, binary_x)])
        arrays = protocol.feeds(protocol.parse(body, headers), TWO)
        assert arrays["x"].tolist() == [[1, 2]]
        assert arrays["s"].tolist() == ["größe", ""]


def test_aligned_tensors_are_views_and_others_are_copied() -> None:
    shared = set()
    for padding in range(8):
        parsed = request(PAIR.tobytes(), body={"id": "i" * padding})
        array = protocol.feeds(parsed, [X])["x"]
        assert array.flags.aligned
        assert array.tolist() == [[1, 2]]
        shared.add(np.shares_memory(array, np.frombuffer(parsed.tail, np.uint8)))
    assert shared == {True, False}


@pytest.mark.parametrize("length", ["x", "", "-1", "1.0", "1e2", "٣", "0x10", "9" * 5000, "99999"])
def test_a_header_that_is_no_length(length: str) -> None:
    with pytest.raises(BadInput, match="Inference-Header-Content-Length"):
        request(b"\0" * 8, length)


@pytest.mark.parametrize("length", ["1", "30"])
def test_a_header_that_cuts_the_json(length: str) -> None:
    with pytest.raises(BadInput, match="not valid JSON"):
        request(b"\0" * 8, length)


@pytest.mark.parametrize(
    ("tail", "changes", "message"),
    [
        (b"\0" * 7, {}, "announces 8 bytes.*7 are left"),
        (b"", {}, "0 are left"),
        (b"\0" * 9, {}, "1 bytes after the JSON"),
        (b"\0" * 8, {"parameters": {}}, "no data"),
        (b"\0" * 8, {"parameters": {}, "data": [1, 2]}, "8 bytes after the JSON"),
        (b"\0" * 8, {"data": [1, 2]}, "both"),
        (b"\0" * 8, {"shape": [2, 2]}, r"8 bytes.*4 values.*are 16"),
        (b"\0" * 8, {"shape": [0, 2]}, "8 bytes.*0 values"),
        (b"\0" * 8, {"shape": [2**60, 2]}, "shape"),
        (b"\0" * 8, {"parameters": {"binary_data_size": 8.0}}, "number of bytes"),
        (b"\0" * 8, {"parameters": {"binary_data_size": "8"}}, "number of bytes"),
        (b"\0" * 8, {"parameters": {"binary_data_size": True}}, "number of bytes"),
        (b"\0" * 8, {"parameters": {"binary_data_size": -8}}, "number of bytes"),
        (b"\0" * 8, {"parameters": {"binary_data_size": None}}, "number of bytes"),
        (b"\0" * 8, {"parameters": {"binary_data_size": 2**70}}, "no inference request|announces|valid"),
        (b"\0" * 8, {"parameters": {"binary_data_size": 4}}, "4 bytes.*are 8"),
        (b"\0" * 8, {"datatype": "INT32"}, "takes FP32"),
    ],
)
def test_sizes_that_do_not_agree(tail: bytes, changes: dict, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        protocol.feeds(request(tail, **changes), [X])


def test_a_size_without_the_header_says_so() -> None:
    tensor = {"name": "x", "shape": [1, 2], "datatype": "FP32", "parameters": {"binary_data_size": 8}}
    parsed = protocol.parse(json.dumps({"inputs": [tensor]}).encode(), {})
    with pytest.raises(BadInput, match="Inference-Header-Content-Length"):
        protocol.feeds(parsed, [X])


@pytest.mark.parametrize(
    ("tail", "shape", "message"),
    [
        (b"\x01\0\0", [1], "too few"),
        (b"", [1], "too few"),
        (b"\0" * 8, [2**20], "too few"),
        (struct.pack("<I", 5) + b"abcd", [1], "element 0 of 1 is longer"),
        (struct.pack("<I", 2**32 - 1) + b"abcd", [1], "longer"),
        (struct.pack("<I", 2) + b"ab" + b"\x01\0", [2], "within the length of element 1"),
        (struct.pack("<I", 1) + b"abcdefg", [1], "6 bytes.*after its last"),
        (struct.pack("<I", 0), [0], "4 bytes.*after its last"),
        (struct.pack("<I", 2) + b"\xff\xfe", [1], "element 0 is not UTF-8"),
    ],
)
def test_elements_of_bytes_that_are_framed_wrongly(tail: bytes, shape: list[int], message: str) -> None:
    parsed = request(tail, name="s", datatype="BYTES", shape=shape, parameters={"binary_data_size": len(tail)})
    with pytest.raises(BadInput, match=message):
        protocol.feeds(parsed, [Tensor("s", "BYTES", [-1])])


def test_a_bool_is_one_byte_of_0_or_1() -> None:
    signature = [Tensor("b", "BOOL", [-1])]
    fine = request(b"\0\1", name="b", datatype="BOOL", shape=[2], parameters={"binary_data_size": 2})
    assert protocol.feeds(fine, signature)["b"].tolist() == [False, True]
    with pytest.raises(BadInput, match="0 or 1"):
        protocol.feeds(
            request(b"\0\2", name="b", datatype="BOOL", shape=[2], parameters={"binary_data_size": 2}), signature
        )


@pytest.mark.parametrize(
    ("datatype", "expected", "body", "shape"),
    [
        ("FP32", [2], b"\0" * 8, [2]),
        ("FP32", [-1, 2], b"\0" * 24, [3, 2]),
        ("FP32", [-1, 2], b"", [0, 2]),
        ("FP32", [-1, -1, 2], b"\0" * 24, [1, 3, 2]),
        ("FP32", [], b"\0" * 4, []),
        ("INT8", [-1], b"abc", [3]),
        ("BF16", [-1], b"abcd", [2]),
        ("BYTES", [1], b"abc", [1]),
        ("BYTES", [-1, 1], b"", [1, 1]),
    ],
)
def test_a_body_that_is_the_only_input(datatype: str, expected: list[int], body: bytes, shape: list[int]) -> None:
    parsed = protocol.parse(body, {LENGTH: "0"})
    array = protocol.feeds(parsed, [Tensor("x", datatype, expected)])["x"]  # type: ignore[arg-type]  # each is one
    assert list(array.shape) == shape
    if datatype == "BYTES":
        assert array.reshape(-1).tolist() == [body.decode()]
    assert protocol.requested_outputs(parsed, [X]) == [
        RequestedOutput("x", binary=True)
    ]  # as the request came, so goes the answer


@pytest.mark.parametrize(
    ("signature", "body", "message"),
    [
        (TWO, b"\0" * 8, "only input"),
        ([], b"\0" * 8, "only input"),
        ([X], b"\0" * 7, "no multiple of 8"),
        ([Tensor("x", "FP32", [4])], b"\0" * 8, "are 16"),
        ([Tensor("x", "FP32", [-1, -1, -1])], b"\0" * 8, "which shape"),
        ([Tensor("x", "FP32", [2, -1, -1])], b"\0" * 8, "which shape"),
        ([Tensor("x", "FP32", [-1, 0])], b"\0" * 8, "no multiple"),
        ([Tensor("x", "BYTES", [2])], b"abc", "one element"),
        ([Tensor("x", "BYTES", [1])], b"\xff", "UTF-8"),
    ],
)
def test_bodies_that_cannot_be_the_only_input(signature: list[Tensor], body: bytes, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        protocol.feeds(protocol.parse(body, {LENGTH: "0"}), signature)


def test_which_outputs_are_binary() -> None:
    signature = [Tensor("a", "FP32", [1]), Tensor("b", "FP32", [1])]

    def binary(parameters: dict[str, Any], outputs: list[dict[str, Any]]) -> list[bool]:
        parsed = request(b"\0" * 8, body={"parameters": parameters, "outputs": outputs})
        return [output.binary for output in protocol.requested_outputs(parsed, signature)]

    everything = {"binary_data_output": True}
    assert binary({}, []) == [False, False]
    assert binary(everything, []) == [True, True]
    assert binary(everything, [{"name": "a", "parameters": {"binary_data": False}}, {"name": "b"}]) == [False, True]
    assert binary({}, [{"name": "a", "parameters": {"binary_data": True}}, {"name": "b"}]) == [True, False]
    for parameters, outputs in (
        ({"binary_data_output": 1}, []),
        ({}, [{"name": "a", "parameters": {"binary_data": 1}}]),
    ):
        with pytest.raises(BadInput, match=r"binary_data\w* is true or false"):
            binary(parameters, outputs)


def test_an_answer_of_both_kinds() -> None:
    numbers, text = np.array([[1.5]], np.float32), np.array(["a", "öö"], object)
    outputs = [
        (RequestedOutput("j"), numbers),
        (RequestedOutput("b", True), numbers),
        (RequestedOutput("s", True), text),
    ]
    reply = protocol.answer("m", 3, "i", outputs)
    length = int(reply.headers["Inference-Header-Content-Length"])
    document = json.loads(reply.body[:length])
    assert reply.headers["Content-Type"] == "application/octet-stream"
    assert [o.get("parameters") for o in document["outputs"]] == [
        None,
        {"binary_data_size": 4},
        {"binary_data_size": 13},
    ]
    assert ["data" in o for o in document["outputs"]] == [True, False, False]
    assert reply.body[length:] == numbers.tobytes() + b"\1\0\0\0a" + b"\4\0\0\0" + "öö".encode()


def test_what_is_refused_carries_its_status() -> None:
    for headers, status in (({LENGTH: "10"}, 400), ({"content-encoding": "br"}, 415), ({LENGTH: "-"}, 400)):
        with pytest.raises(AmaasError) as error:
            protocol.parse(b"{}", headers)
        assert error.value.status == status
