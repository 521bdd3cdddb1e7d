"""Clients of the protocol, as they are installed and with their defaults, against the running gateway."""

from __future__ import annotations

import asyncio
import http.client
import json
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio

from tests.cloud.conftest import Cloud
from tests.support import tiny_classifier

pytestmark = pytest.mark.cloud

LABELS = ["ant", "bee", "cat"]
IMAGES = np.random.default_rng(0).random((2, 1, 4, 4), np.float32)
LOGITS = np.stack([[image.reshape(-1)[k::3].sum() for k in range(3)] for image in IMAGES])


@pytest.fixture(scope="module")
def served(cloud: Cloud) -> Cloud:
    """The cloud, with a classifier of images."""
    described = {"task": "image-classification", "labels": LABELS}
    files = {"model.onnx": tiny_classifier(), "amaas.json": json.dumps(described).encode()}
    assert cloud.upload("shapes", files)["state"] == "registered"
    return cloud


def address(cloud: Cloud) -> str:
    return str(cloud.access["api_url"]).removeprefix("http://")


def token(cloud: Cloud) -> dict[str, str]:
    return {"Authorization": f"Bearer {cloud.access['token']}"}


def images() -> triton.InferInput:
    tensor = triton.InferInput("image", list(IMAGES.shape), "FP32")
    return tensor.set_data_from_numpy(IMAGES)


@pytest.fixture
def client(served: Cloud) -> Any:
    with triton.InferenceServerClient(address(served)) as made:
        yield made


def test_tritonclient_binary_both_ways(served: Cloud, client: triton.InferenceServerClient) -> None:
    result = client.infer("shapes", [images()], request_id="r-1", headers=token(served))
    assert np.allclose(result.as_numpy("logits"), LOGITS)
    assert result.get_response()["id"] == "r-1"
    assert result.get_output("logits")["parameters"] == {"binary_data_size": 24}
    listed = client.get_server_metadata(token(served))["extensions"]
    assert listed == ["binary_tensor_data", "classification", "model_configuration", "statistics"]


@pytest.mark.parametrize("sent", [None, "gzip", "deflate"])
@pytest.mark.parametrize("accepted", [None, "gzip", "deflate"])
def test_tritonclient_compressed(
    served: Cloud, client: triton.InferenceServerClient, sent: str | None, accepted: str | None
) -> None:
    many = np.tile(IMAGES, (100, 1, 1, 1))
    tensor = triton.InferInput("image", list(many.shape), "FP32").set_data_from_numpy(many)
    result = client.infer(
        "shapes",
        [tensor],
        headers=token(served),
        request_compression_algorithm=sent,
        response_compression_algorithm=accepted,
    )
    assert np.allclose(result.as_numpy("logits"), np.tile(LOGITS, (100, 1)))


def test_tritonclient_no_elements(served: Cloud, client: triton.InferenceServerClient) -> None:
    tensor = triton.InferInput("image", [0, 1, 4, 4], "FP32").set_data_from_numpy(IMAGES[:0])
    assert client.infer("shapes", [tensor], headers=token(served)).as_numpy("logits").shape == (0, 3)


@pytest.mark.parametrize("binary", [True, False])
def test_tritonclient_classification(served: Cloud, client: triton.InferenceServerClient, binary: bool) -> None:
    wanted = triton.InferRequestedOutput("logits", binary_data=binary, class_count=2)
    best = client.infer("shapes", [images()], outputs=[wanted], headers=token(served)).as_numpy("logits")
    assert best.shape == (2, 2)
    for row, logits in zip(best, LOGITS, strict=True):
        parts = [(v.decode() if isinstance(v, bytes) else v).split(":") for v in row]
        assert [int(index) for _, index, _ in parts] == np.argsort(-logits)[:2].tolist()
        assert [label for _, _, label in parts] == [LABELS[i] for i in np.argsort(-logits)[:2]]
        assert np.allclose([float(value) for value, _, _ in parts], np.sort(logits)[::-1][:2])


def test_tritonclient_configuration_and_statistics(served: Cloud, client: triton.InferenceServerClient) -> None:
    headers = token(served)
    found = client.get_model_config("shapes", "1", headers)
    assert (found["name"], found["max_batch_size"], found["backend"]) == ("shapes", 0, "onnxruntime")
    assert found["input"] == [{"name": "image", "data_type": "TYPE_FP32", "dims": [-1, 1, 4, 4]}]
    assert found["output"] == [{"name": "logits", "data_type": "TYPE_FP32", "dims": [-1, 3]}]
    client.infer("shapes", [images()], headers=headers)
    [counted] = client.get_inference_statistics("shapes", "1", headers)["model_stats"]
    assert (counted["name"], counted["version"]) == ("shapes", "1")
    assert counted["inference_count"] == counted["inference_stats"]["success"]["count"]


def test_tritonclient_hears_what_is_wrong(served: Cloud, client: triton.InferenceServerClient) -> None:
    headers = token(served)
    wrong = triton.InferInput("picture", list(IMAGES.shape), "FP32").set_data_from_numpy(IMAGES)
    with pytest.raises(triton.InferenceServerException, match="no input 'picture'"):
        client.infer("shapes", [wrong], headers=headers)
    for unserved in (
        lambda: client.get_trace_settings(headers=headers),
        lambda: client.get_log_settings(headers=headers),
        lambda: client.get_system_shared_memory_status(headers=headers),
        lambda: client.register_system_shared_memory("r", "/r", 8, headers=headers),
    ):
        with pytest.raises(triton.InferenceServerException, match=r"\[404\].*route"):
            unserved()


@pytest.mark.parametrize("coding", [None, "gzip", "deflate"])
def test_tritonclient_aio(served: Cloud, coding: str | None) -> None:
    async def talk() -> tuple[np.ndarray, list[str]]:
        async with triton_aio.InferenceServerClient(address(served)) as client:
            wanted = [triton_aio.InferRequestedOutput("logits", class_count=1)]
            result = await client.infer(
                "shapes",
                [images()],
                headers=token(served),
                request_compression_algorithm=coding,
                response_compression_algorithm=coding,
            )
            best = await client.infer("shapes", [images()], outputs=wanted, headers=token(served))
            return result.as_numpy("logits"), [v.decode() for v in best.as_numpy("logits").reshape(-1)]

    logits, best = asyncio.run(talk())
    assert np.allclose(logits, LOGITS)
    assert [v.split(":")[2] for v in best] == [LABELS[i] for i in LOGITS.argmax(1)]


def infer(cloud: Cloud, content: bytes, **headers: str) -> httpx.Response:
    return cloud.api.post("/v2/models/shapes/infer", content=content, headers=headers)


def test_a_bare_tensor_from_any_http_client(served: Cloud) -> None:
    answer = infer(served, IMAGES.tobytes(), **{"Inference-Header-Content-Length": "0"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/octet-stream")
    length = int(answer.headers["inference-header-content-length"])
    assert np.allclose(np.frombuffer(answer.content[length:], np.float32).reshape(2, 3), LOGITS)


@pytest.mark.parametrize(
    ("rows", "accepted", "coding"),
    [
        (4000, "gzip, deflate, br", "gzip"),
        (100, "gzip, deflate, br", None),
        (100, "gzip", "gzip"),
        (100, "deflate", "deflate"),
        (4000, "identity", None),
    ],
)
def test_answers_are_compressed_for_any_http_client(
    served: Cloud, rows: int, accepted: str, coding: str | None
) -> None:
    many = np.tile(IMAGES, (rows // 2, 1, 1, 1))
    size = {"binary_data_size": many.nbytes}
    tensor = {"name": "image", "shape": list(many.shape), "datatype": "FP32", "parameters": size}
    document = json.dumps({"inputs": [tensor]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(document)), "Accept-Encoding": accepted}
    answer = infer(served, document + many.tobytes(), **headers)
    assert (answer.headers["content-type"], answer.headers.get("content-encoding")) == ("application/json", coding)
    expected = np.tile(LOGITS, (rows // 2, 1))
    assert np.allclose(np.reshape(answer.json()["outputs"][0]["data"], (rows, 3)), expected)


@pytest.mark.parametrize(
    ("content", "headers", "status", "message"),
    [
        (b"\0" * 65, {"Inference-Header-Content-Length": "0"}, 400, "no multiple of 64"),
        (b"{}", {"Inference-Header-Content-Length": "3"}, 400, "2 bytes in all"),
        (b"{}", {"Inference-Header-Content-Length": "x"}, 400, "number of bytes"),
        (b'{"inputs": []}', {"Content-Encoding": "deflate"}, 400, "no deflate"),
        (b'{"inputs": []}', {"Content-Encoding": "br"}, 415, "gzip"),
    ],
)
def test_what_is_refused(served: Cloud, content: bytes, headers: dict[str, str], status: int, message: str) -> None:
    answer = infer(served, content, **headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    assert message in answer.json()["error"]


def image(**changes: Any) -> dict[str, Any]:
    return {"name": "image", "shape": [1, 1, 4, 4], "datatype": "FP32", "data": [0.5] * 16} | changes


def binary(size: Any, **changes: Any) -> dict[str, Any]:
    """An image whose data follows the JSON."""
    return {k: v for k, v in image(**changes).items() if k != "data"} | {"parameters": {"binary_data_size": size}}


@pytest.mark.parametrize(
    ("request_", "tail", "status", "message"),
    [
        ({"inputs": [image(name="picture")]}, b"", 400, "no input 'picture'"),
        ({"inputs": []}, b"", 400, "lacks the inputs"),
        ({"inputs": [image(), image()]}, b"", 400, "given twice"),
        ({"inputs": [image(datatype="FP64")]}, b"", 400, "has datatype 'FP64'"),
        ({"inputs": [image(datatype="FP9")]}, b"", 400, "has datatype 'FP9'"),
        ({"inputs": [image(shape=[1, 16])]}, b"", 400, "has shape [1, 16]"),
        ({"inputs": [image(shape=[-1, 1, 4, 4])]}, b"", 400, "has shape [-1"),
        ({"inputs": [image(data=[0.5] * 15)]}, b"", 400, "has 15 values"),
        ({"inputs": [image(data=[[0.5] * 15, 0.5])]}, b"", 400, "not a regular array"),
        ({"inputs": [image(data=["0.5"] * 16)]}, b"", 400, "'0.5' is text, not a value of FP32"),
        ({"inputs": [image(data=[1e39] * 16)]}, b"", 400, "outside the range"),
        ({"inputs": [image(data=None)]}, b"", 400, "has no data"),
        ({"inputs": [image()], "outputs": [{"name": "x"}]}, b"", 400, "no output 'x'"),
        ({"inputs": [image()], "outputs": [{"name": "logits"}] * 2}, b"", 400, "is requested twice"),
        ({"inputs": [image()], "parameters": {"binary_data_output": "yes"}}, b"", 400, "is true or false"),
        (
            {"inputs": [image()], "outputs": [{"name": "logits", "parameters": {"classification": 0}}]},
            b"",
            400,
            "classification is the number",
        ),
        (
            {"inputs": [image()], "outputs": [{"name": "logits", "parameters": {"shared_memory_region": "r"}}]},
            b"",
            501,
            "shared memory is not supported",
        ),
        ({"inputs": [binary(64)]}, b"\0" * 63, 400, "announces 64 bytes"),
        ({"inputs": [binary(64)]}, b"\0" * 65, 400, "1 bytes after the JSON belong to no input"),
        ({"inputs": [binary(60)]}, b"\0" * 60, 400, "has 60 bytes of binary data"),
        ({"inputs": [binary(-64)]}, b"\0" * 64, 400, "is a number of bytes"),
        ({"inputs": [binary("64")]}, b"\0" * 64, 400, "is a number of bytes"),
        ({"inputs": [binary(64, shape=[2**62, 1, 4, 4])]}, b"\0" * 64, 400, "has shape"),
        ({"inputs": [binary(0, shape=[10**7, 1, 4, 4])]}, b"", 400, "has shape"),
        ({"inputs": [binary(64) | {"data": [0.5] * 16}]}, b"\0" * 64, 400, "both data and"),
        ({"inputs": "image"}, b"", 400, "no inference request"),
        ([], b"", 400, "no inference request"),
    ],
)
def test_what_is_wrong_is_told(served: Cloud, request_: Any, tail: bytes, status: int, message: str) -> None:
    document = json.dumps(request_).encode()
    answer = infer(served, document + tail, **{"Inference-Header-Content-Length": str(len(document))})
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    assert list(answer.json()) == ["error", "code", "request_id"]
    assert message in answer.json()["error"]


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("absent", [{}, {"id": None, "outputs": None, "parameters": None}])
def test_json_of_any_http_client(served: Cloud, nested: bool, absent: dict[str, None]) -> None:
    """Values nested as the shape is, or flat; what may be absent may be null, and what is unknown is left alone."""
    data = IMAGES.tolist() if nested else IMAGES.reshape(-1).tolist()
    given = image(shape=list(IMAGES.shape), data=data, parameters={"mine": 1})
    answer = infer(served, json.dumps({"inputs": [given], "unknown": 1} | absent).encode())
    assert np.allclose(np.reshape(answer.json()["outputs"][0]["data"], (2, 3)), LOGITS)
    assert set(answer.json()) == {"model_name", "model_version", "outputs"}


@pytest.mark.parametrize("in_binary", [True, False])
def test_a_client_that_sends_no_header_but_its_token(served: Cloud, in_binary: bool) -> None:
    """Neither Content-Type nor Accept, nor Accept-Encoding."""
    given = binary(IMAGES.nbytes) if in_binary else image(data=IMAGES.reshape(-1).tolist())
    asked = {"inputs": [given | {"shape": list(IMAGES.shape)}], "parameters": {"binary_data_output": in_binary}}
    document = json.dumps(asked).encode()
    content = document + (IMAGES.tobytes() if in_binary else b"")
    url = httpx.URL(served.access["api_url"])
    connection = http.client.HTTPConnection(url.host, url.port or 80, timeout=60)
    connection.putrequest("POST", f"{url.path}/v2/models/shapes/infer", skip_accept_encoding=True)
    headers = token(served) | {"Content-Length": str(len(content))}
    headers |= {"Inference-Header-Content-Length": str(len(document))} if in_binary else {}
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders(content)
    answer = connection.getresponse()
    body, length = answer.read(), answer.headers["Inference-Header-Content-Length"]
    connection.close()
    assert answer.status == 200, body
    found = np.frombuffer(body[int(length) :], np.float32) if in_binary else json.loads(body)["outputs"][0]["data"]
    assert np.allclose(np.reshape(found, (2, 3)), LOGITS)
