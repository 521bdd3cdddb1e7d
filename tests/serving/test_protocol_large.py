"""Large JSON bodies are read another way: whatever is sent, the answer is the one that a small body gets."""

from __future__ import annotations

import json
import sys
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import AmaasError
from shared.package.manifest import Tensor
from shared.serving.protocol import large, message

NUMBERS = st.integers(-(2**65), 2**65) | st.integers(-300, 300) | st.floats() | st.sampled_from([0, -0.0, 2**64 - 1])
ODD = st.none() | st.booleans() | st.text("[]x", max_size=3)
DATA = st.recursive(NUMBERS | ODD, lambda inner: st.lists(inner, max_size=4), max_leaves=14)
TYPES = ["FP16", "BF16", "FP32", "FP64", "INT8", "INT64", "UINT8", "UINT64", "BOOL", "BYTES"]


@st.composite
def regular(draw: st.DrawFn) -> tuple[list[int], Any]:
    """Numbers nested as their shape says, or flat."""
    shape = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    one = draw(st.sampled_from([st.integers(-300, 300), st.integers(0, 2**64 - 1), st.floats(width=32), NUMBERS]))
    flat = draw(st.lists(one, min_size=int(np.prod(shape)), max_size=int(np.prod(shape))))
    nested = np.array(flat, object).reshape(shape).tolist()
    return shape, draw(st.sampled_from([flat, nested]))


def read(body: bytes, datatype: str, shape: list[int], *, as_large: bool) -> Any:
    """The tensor that comes of a body, or the error."""
    with patch.object(message, "LARGE", 0 if as_large else sys.maxsize):
        try:
            parsed = message.parse(body, {})
            fed = message.feeds(parsed, [Tensor("x", datatype, [-1] * len(shape))])["x"]
        except AmaasError as error:
            return str(error)
    values = fed.tolist() if fed.dtype == object else fed.tobytes()
    return fed.dtype, fed.shape, values, parsed.request.id, parsed.request.outputs, parsed.request.parameters


def body_of(datatype: str, shape: list[int], data: Any, **members: Any) -> bytes:
    return json.dumps(
        {"inputs": [{"name": "x", "shape": shape, "datatype": datatype, "data": data}]} | members
    ).encode()


@settings(max_examples=1500, deadline=None)
@given(regular() | st.tuples(st.lists(st.integers(-1, 4), max_size=3), DATA), st.sampled_from(TYPES), ODD)
def test_both_ways_answer_alike(shape_and_data: tuple[list[int], Any], datatype: str, name: Any) -> None:
    shape, data = shape_and_data
    body = body_of(datatype, shape, data, id=name, outputs=[{"name": "y", "parameters": {"list": [[1], "["]}}])
    assert read(body, datatype, shape, as_large=True) == read(body, datatype, shape, as_large=False)


@pytest.mark.parametrize(
    "data",
    [[1, [], [2, 3]], [[], [1, 2, 3]], [[1, 2], 3], [[1, 2], [3]], [1, 2, "3"], [1, None, 3], [[]]],
)
def test_what_is_not_regular_is_left_to_the_usual_way(data: list[Any]) -> None:
    body = body_of("FP32", [3], data)
    members = large.read_members(body)
    assert members is None or isinstance(members["inputs"][0]["data"], list)
    assert isinstance(read(body, "FP32", [3], as_large=True), str)


def test_where_there_is_no_simdjson_the_usual_way_has_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    body = body_of("FP32", [2, 3], [[1, 2, 3], [4, 5, 6]])
    expected = read(body, "FP32", [2, 3], as_large=True)
    monkeypatch.setattr(large, "Parser", None)
    assert large.read_members(body) is None
    assert read(body, "FP32", [2, 3], as_large=True) == expected


@pytest.mark.skipif(large.Parser is None, reason="simdjson has no package for this Python")
@pytest.mark.parametrize("shape", [[6], [2, 3], [1, 2, 3]])
@pytest.mark.parametrize("datatype", ["FP32", "INT64", "UINT8"])
def test_numbers_are_arrays_at_once(datatype: str, shape: list[int]) -> None:
    members = large.read_members(body_of(datatype, shape, np.arange(6).reshape(shape).tolist()))
    assert members is not None
    data = members["inputs"][0]["data"]
    assert isinstance(data, np.ndarray)
    assert data.tolist() == np.arange(6).reshape(shape).tolist()


@pytest.mark.parametrize(
    "body",
    [b"", b"[", b"[1]", b"7", b"\xff\xfe", b"[" * 5000, b'{"inputs": [1e999]}', b'{"inputs": 7}', b'{"inputs": [7]}'],
)
def test_other_bodies_have_the_usual_messages(body: bytes) -> None:
    assert read(body, "FP32", [1], as_large=True) == read(body, "FP32", [1], as_large=False)


def test_a_member_given_twice_counts_once() -> None:
    body = b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [[1]], "data": [2]}]}'
    assert read(body, "FP32", [1], as_large=True) == read(body, "FP32", [1], as_large=False)
    assert np.frombuffer(read(body, "FP32", [1], as_large=True)[2], np.float32) == [2]
