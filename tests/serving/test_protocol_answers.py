"""Classification, compression both ways, and what one call may carry."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import numpy as np
import pytest

from shared.config import MAX_BODY_BYTES
from shared.errors import BadInput, TooLarge, Unsupported
from shared.package.manifest import Tensor
from shared.runtime.arrays import to_bfloat16
from shared.serving import content, protocol
from shared.serving.protocol import RequestedOutput
from shared.serving.protocol.classification import classify

BODY = json.dumps({"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [7]}]}).encode()
CODERS = {"gzip": gzip.compress, "deflate": zlib.compress}


def requested_outputs(parameters: dict[str, Any], datatype: str = "FP32") -> list[RequestedOutput]:
    body = {"inputs": [], "outputs": [{"name": "y", "parameters": parameters}]}
    parsed = protocol.parse(json.dumps(body).encode(), {})
    return protocol.requested_outputs(parsed, [Tensor("y", datatype, [-1, 3])])


def test_the_best_classes_with_their_labels() -> None:
    scores = np.array([[0.1, 0.7, 0.2], [5, -1, 5]], np.float32)
    best = classify(scores, 2, ["cat", "dog", "a:b"])
    assert best.tolist() == [["0.7:1:dog", "0.2:2:a:b"], ["5.0:0:cat", "5.0:2:a:b"]]
    assert classify(scores, 2, []).tolist() == [["0.7:1", "0.2:2"], ["5.0:0", "5.0:2"]]
    assert classify(scores, 9, ["one", "two"]).tolist()[0] == ["0.7:1", "0.2:2", "0.1:0"]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        (np.array([1, 3, 2], np.int64), ["3:1", "2:2"]),
        (np.array([1, 255, 0], np.uint8), ["255:1", "1:0"]),
        (np.array([-(2**63), 0], np.int64), ["0:1", f"{-(2**63)}:0"]),
        (np.array([False, True]), ["1:1", "0:0"]),
        (np.array([1.5, 2.5], np.float16), ["2.5:1", "1.5:0"]),
        (to_bfloat16(np.array([1.5, 2.5], np.float32)), ["2.5:1", "1.5:0"]),
        (np.array([np.nan, -1, np.inf], np.float32), ["inf:2", "-1.0:1"]),
        (np.array(4.0, np.float64), ["4.0:0"]),
        (np.zeros((2, 1, 2), np.float32), [["0.0:0", "0.0:1"], ["0.0:0", "0.0:1"]]),
        (np.zeros((0, 5), np.float32), []),
        (np.zeros((2, 0), np.float32), [[], []]),
    ],
)
def test_classes_of_any_scores(scores: np.ndarray, expected: list) -> None:
    assert classify(scores, 2, []).tolist() == expected


def test_classes_are_answered_as_bytes_of_their_own_shape() -> None:
    scores = np.array([[0.1, 0.7, 0.2]], np.float32)
    [output] = requested_outputs({"classification": 1})
    assert output == RequestedOutput("y", classes=1)
    reply = protocol.answer("m", 1, None, [(output, scores)], labels=["a", "b", "c"])
    assert json.loads(reply.body)["outputs"] == [
        {"name": "y", "datatype": "BYTES", "shape": [1, 1], "data": ["0.7:1:b"]}
    ]
    [output] = requested_outputs({"classification": 1, "binary_data": True})
    reply = protocol.answer("m", 1, None, [(output, scores)], labels=["a", "b", "c"])
    assert reply.body.endswith(b"\7\0\0\0000.7:1:b")


@pytest.mark.parametrize("count", [0, -1, "2", 1.5, True, [1]])
def test_a_number_of_classes_that_is_none(count: Any) -> None:
    with pytest.raises(BadInput, match="number of classes"):
        requested_outputs({"classification": count})


def test_text_has_no_classes() -> None:
    with pytest.raises(BadInput, match="BYTES"):
        requested_outputs({"classification": 1}, "BYTES")


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate", " GZIP "])
def test_compressed_requests(coding: str) -> None:
    body = CODERS["deflate" if coding == "deflate" else "gzip"](BODY)
    assert protocol.parse(body, {"content-encoding": coding}) == protocol.parse(BODY, {})


def test_the_header_counts_the_json_before_compression() -> None:
    tensor = {"name": "x", "shape": [1], "datatype": "FP32", "parameters": {"binary_data_size": 4}}
    document = json.dumps({"inputs": [tensor]}).encode()
    headers = {"content-encoding": "gzip", "inference-header-content-length": str(len(document))}
    parsed = protocol.parse(gzip.compress(document + b"\0\0\x80\x3f"), headers)
    assert protocol.feeds(parsed, [Tensor("x", "FP32", [1])])["x"].tolist() == [1.0]


@pytest.mark.parametrize("coding", CODERS)
def test_compressed_bodies_that_are_broken(coding: str) -> None:
    body = CODERS[coding](BODY)
    flipped = body[:-2] + bytes([body[-2] ^ 1]) + body[-1:]
    for broken, message in (
        (b"", "ends before"),
        (body[:-1], "ends before"),
        (body[:5], "ends before"),
        (body + b"x", "1 bytes after the end"),
        (body * 2, "after the end"),
        (b"hello", "is no " + coding),
        (BODY, "is no " + coding),
        (flipped, "is no " + coding),
    ):
        with pytest.raises(BadInput, match=message):
            protocol.parse(broken, {"content-encoding": coding})


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "compress"])
def test_other_codings(coding: str) -> None:
    with pytest.raises(Unsupported, match="not supported"):
        protocol.parse(BODY, {"content-encoding": coding})


@pytest.mark.parametrize("coding", CODERS)
def test_what_counts_is_the_size_before_compression(coding: str) -> None:
    largest = b" " * (MAX_BODY_BYTES - len(BODY)) + BODY
    assert protocol.parse(CODERS[coding](largest), {"content-encoding": coding}) == protocol.parse(BODY, {})
    with pytest.raises(TooLarge, match="before compression"):
        protocol.parse(CODERS[coding](b" " + largest), {"content-encoding": coding})


def test_a_bomb_is_not_unpacked() -> None:
    import tracemalloc

    bomb = zlib.compress(b"\0" * 400_000_000, 1)
    tracemalloc.start()
    with pytest.raises(TooLarge):
        protocol.parse(bomb, {"content-encoding": "deflate"})
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("header", "chosen"),
    [
        ("gzip", ("gzip", True)),
        ("deflate", ("deflate", True)),
        ("x-gzip", ("gzip", True)),
        ("GZIP;q=1.0", ("gzip", True)),
        ("gzip, deflate", ("gzip", False)),
        ("gzip, deflate, br, zstd", ("gzip", False)),
        ("deflate, gzip;q=0.5", ("deflate", False)),
        ("gzip;q=0, deflate", ("deflate", False)),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", ("gzip", False)),
        ("*", ("gzip", False)),
        ("identity, gzip;q=0.5", (None, False)),
        ("identity", (None, False)),
        ("gzip;q=0", (None, False)),
        ("gzip;q=x", (None, False)),
        ("br", (None, False)),
        (" , ", (None, False)),
    ],
)
def test_what_a_client_accepts(header: str, chosen: tuple[str | None, bool]) -> None:
    assert content.choose(header) == chosen


def answered(count: int, accepted: str | None, *, binary: bool = False, spread: bool = False) -> content.Reply:
    array = np.random.default_rng(0).random(count) if spread else np.zeros(count)
    return protocol.answer("m", 1, None, [(RequestedOutput("y", binary), array)], accepted=accepted)


@pytest.mark.parametrize("coding", CODERS)
@pytest.mark.parametrize("binary", [True, False])
def test_answers_are_compressed_for_who_asks(coding: str, binary: bool) -> None:
    reply, plain = answered(1000, coding, binary=binary), answered(1000, None, binary=binary)
    assert reply.headers == plain.headers | {"Content-Encoding": coding}
    unpacked = gzip.decompress(reply.body) if coding == "gzip" else zlib.decompress(reply.body)
    assert unpacked == plain.body
    assert len(reply.body) < len(plain.body) / 10


def test_answers_are_left_alone_where_it_does_not_pay() -> None:
    for reply in (
        answered(10, "gzip"),
        answered(10_000, None),
        answered(10_000, "br"),
        answered(10_000, "gzip, deflate"),
        answered(30_000, "gzip, deflate", binary=True),
        protocol.answer(
            "m",
            1,
            None,
            [(RequestedOutput("y", True), np.frombuffer(np.random.default_rng(0).bytes(4096), np.uint8))],
            accepted="deflate",
        ),
    ):
        assert "Content-Encoding" not in reply.headers
    assert answered(50_000, "gzip, deflate").headers["Content-Encoding"] == "gzip"


def test_what_one_call_can_return() -> None:
    count = content.MAX_REPLY_BYTES * 3 // 4 // 8
    assert len(answered(count - 100, None, binary=True, spread=True).body) < content.MAX_REPLY_BYTES
    for binary in (True, False):
        with pytest.raises(TooLarge, match=r"fewer.*gzip"):
            answered(count, None, binary=binary, spread=True)
    # what would not fit is compressed even for a client that only lists what it knows
    assert answered(count, "gzip, br", binary=True).headers["Content-Encoding"] == "gzip"


def test_text_is_counted_as_it_travels() -> None:
    quotes = np.array(['"' * 1000] * 2500, object)  # each is \" in the JSON, and \\\" in the function's answer
    with pytest.raises(TooLarge, match="10,0"):
        protocol.answer("m", 1, None, [(RequestedOutput("y"), quotes)])
