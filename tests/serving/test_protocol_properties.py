"""Whatever the tensors: they come back as they were. Whatever the damage: it is answered as the caller's mistake."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tritonclient.http import InferResult

import functions.inference.app as app
from tests.serving.wire import ELEMENTS, message, models, plain, raw
from tests.support import Answer, call

LENGTH = "inference-header-content-length"
SHAPES = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5)
CODINGS = st.sampled_from([None, "gzip", "deflate"])
CODERS: dict[str | None, Any] = {None: bytes, "gzip": gzip.compress, "deflate": zlib.compress}
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)


@pytest.fixture(scope="module", autouse=True)
def server() -> Any:
    served = models()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "models", lambda: served)
        yield


@st.composite
def tensors(draw: st.DrawFn) -> tuple[str, np.ndarray]:
    """A datatype and values of it: with JSON forms, so without infinities and NaN."""
    datatype = draw(st.sampled_from(sorted(ELEMENTS)))
    shape = draw(SHAPES)
    if datatype == "BYTES":
        return datatype, draw(arrays.arrays(object, shape, elements=TEXT, fill=st.nothing()))
    if datatype == "BF16":
        bits = draw(arrays.arrays(np.uint16, shape))
        finite = np.where(bits & 0x7F80 == 0x7F80, np.uint16(0x3F80), bits)
        return datatype, np.frombuffer(finite.astype(np.uint16).tobytes(), "V2").reshape(shape)
    finite_only = {"allow_nan": False, "allow_infinity": False} if datatype.startswith("FP") else {}
    dtype = ELEMENTS[datatype][1]
    return datatype, draw(arrays.arrays(dtype, shape, elements=arrays.from_dtype(dtype, **finite_only)))


def infer(datatype: str, rank: int, body: bytes, headers: dict[str, str]) -> Answer:
    return call(app.handler, "POST", f"/v2/models/identity-{datatype.lower()}-{rank}/infer", body, headers=headers)


def result(answer: Answer) -> dict[str, Any]:
    """The output as tritonclient finds it: the JSON, and the bytes after it."""
    headers = {name.lower(): value for name, value in answer.headers.items()}
    parsed = InferResult.from_response_body(
        answer.body, header_length=headers.get(LENGTH), content_encoding=headers.get("content-encoding")
    )
    return parsed.get_output("y") | {"bytes": getattr(parsed, "_buffer", b"")}


@settings(max_examples=300, deadline=None)
@given(tensors(), st.booleans(), st.booleans(), CODINGS, CODINGS)
def test_what_goes_in_comes_out(
    tensor: tuple[str, np.ndarray], binary_in: bool, binary_out: bool, sent: str | None, accepted: str | None
) -> None:
    datatype, array = tensor
    body, headers = message([("x", datatype, array, binary_in)], id="7", parameters={"binary_data_output": binary_out})
    headers |= {"content-encoding": sent} if sent else {}
    headers |= {"accept-encoding": accepted} if accepted else {}
    answer = infer(datatype, array.ndim, CODERS[sent](body), headers)
    assert answer.status == 200, answer.body
    output = result(answer)
    assert (output["datatype"], output["shape"]) == (datatype, list(array.shape))
    if binary_out:
        assert output["bytes"] == raw(array)
    else:
        wide = np.float64 if datatype == "FP64" else np.float32  # numbers are written as short as their type allows
        exact = output["data"] if datatype not in ("FP16", "BF16", "FP32", "FP64") else wide(output["data"]).tolist()
        assert exact == plain(array)


@settings(max_examples=100, deadline=None)
@given(tensors())
def test_a_bare_body_gives_the_same_bytes(tensor: tuple[str, np.ndarray]) -> None:
    datatype, array = tensor
    flat = array.reshape(-1)[:1] if datatype == "BYTES" else array.reshape(-1)
    if datatype == "BYTES" and not flat.size:
        return
    body = flat[0].encode() if datatype == "BYTES" else raw(flat)
    answer = infer(datatype, 1, body, {LENGTH: "0"})
    assert answer.status == 200, answer.body
    assert result(answer)["bytes"] == raw(flat)


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, int, bytes, dict[str, str]]:
    """A good request with something cut, inserted or changed, in its bytes or in its header."""
    datatype, array = draw(tensors())
    body, headers = message([("x", datatype, array, True)], parameters={"binary_data_output": True})
    coding = draw(CODINGS)
    body = bytearray(CODERS[coding](body))
    for _ in range(draw(st.integers(1, 4))):
        at, end = sorted((draw(st.integers(0, len(body))), draw(st.integers(0, len(body)))))
        body[at : min(end, at + draw(st.integers(0, 8)))] = draw(st.binary(max_size=8))
    if draw(st.booleans()):
        headers[LENGTH] = draw(st.one_of(st.integers(-2, 300).map(str), st.text(max_size=5)))
    return datatype, array.ndim, bytes(body), headers | ({"content-encoding": coding} if coding else {})


@settings(max_examples=500, deadline=None)
@given(damaged())
def test_damage_is_never_our_error(case: tuple[str, int, bytes, dict[str, str]]) -> None:
    answer = infer(*case)
    assert answer.status in (200, 400, 413), answer.body
    if answer.status != 200:
        assert list(answer.json) == ["error", "code", "request_id"]
        assert len(answer.json["error"]) > 15


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["name", "shape", "datatype", "data", "parameters", "outputs", "id", "binary_data_size"]),
    JSON,
    st.sampled_from(sorted(ELEMENTS)),
)
def test_any_json_in_any_member_is_answered(member: str, value: Any, datatype: str) -> None:
    tensor: dict[str, Any] = {"name": "x", "shape": [1], "datatype": datatype, "data": [1]}
    request: dict[str, Any] = {"inputs": [tensor]}
    if member in ("outputs", "id"):
        request[member] = value
    elif member == "binary_data_size":
        tensor["parameters"] = {member: value}
    else:
        tensor[member] = value
    answer = infer(datatype, 1, json.dumps(request).encode(), {})
    assert answer.status in (200, 400, 501), answer.body


def test_a_compressed_json_answer_arrives() -> None:
    array = np.arange(2000, dtype=np.int64)
    body, headers = message([("x", "INT64", array, True)])
    answer = infer("INT64", 1, body, headers | {"accept-encoding": "gzip"})
    assert (answer.headers["Content-Type"], answer.headers["Content-Encoding"]) == ("application/json", "gzip")
    assert json.loads(gzip.decompress(answer.body))["outputs"][0]["data"] == array.tolist()


def test_more_than_one_call_can_return() -> None:
    array = np.random.default_rng(0).random(500_000)
    body, headers = message([("x", "FP64", array, True)])
    answer = infer("FP64", 1, body, headers)
    assert (answer.status, "binary ones" in answer.json["error"]) == (413, True)
    body, headers = message([("x", "FP64", array, True)], parameters={"binary_data_output": True})
    assert result(infer("FP64", 1, body, headers))["bytes"] == array.tobytes()


def test_only_extensions_that_are_there_are_listed() -> None:
    listed = call(app.handler, "GET", "/v2").json["extensions"]
    assert listed == ["binary_tensor_data", "classification", "model_configuration", "statistics"]
    for method, path in (
        ("GET", "/v2/trace/setting"),
        ("POST", "/v2/logging"),
        ("GET", "/v2/systemsharedmemory/status"),
        ("POST", "/v2/cudasharedmemory/region/r/register"),
        ("POST", "/v2/repository/models/m/load"),
    ):
        answer = call(app.handler, method, path)
        assert (answer.status, list(answer.json)) == (404, ["error", "code", "request_id"])
