"""Every part of the protocol through the running gateway, by both of tritonclient's clients as they are installed."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from onnx import TensorProto, helper

from tests.cloud.conftest import Cloud
from tests.serving.packages import proto
from tests.support import identities, identity

pytestmark = pytest.mark.cloud

TENSORS = {
    "bool": np.array([True, False]),
    **{f"uint{bits}": np.array([0, 2**bits - 1], f"uint{bits}") for bits in (8, 16, 32, 64)},
    **{f"int{bits}": np.array([-(2 ** (bits - 1)), 2 ** (bits - 1) - 1], f"int{bits}") for bits in (8, 16, 32, 64)},
    "fp16": np.array([0.5, -65504], np.float16),
    "fp32": np.array([0.1, -3e38], np.float32),
    "fp64": np.array([0.1, 1e300]),
    "bytes": np.array(["größe", ""], object),
}


def stepping() -> bytes:
    """total = state + x * scale, with a scale of 2 where none is sent; and the words as they came."""
    kinds = {
        "x": TensorProto.FLOAT,
        "state": TensorProto.FLOAT,
        "scale": TensorProto.FLOAT,
        "words": TensorProto.STRING,
    }
    shapes = {"x": ["N", 2], "state": ["N", 2], "scale": [1], "words": ["N", "W"]}
    inputs = [helper.make_tensor_value_info(name, kind, shapes[name]) for name, kind in kinds.items()]
    nodes = [
        helper.make_node("Mul", ["x", "scale"], ["scaled"]),
        helper.make_node("Add", ["state", "scaled"], ["total"]),
        helper.make_node("Identity", ["words"], ["said"]),
    ]
    outputs = [
        helper.make_tensor_value_info("total", TensorProto.FLOAT, ["N", 2]),
        helper.make_tensor_value_info("said", TensorProto.STRING, ["N", "W"]),
    ]
    return proto(nodes, inputs, outputs, {"scale": np.array([2], np.float32)})


@pytest.fixture(scope="module")
def served(cloud: Cloud) -> Cloud:
    models = {"every": identities(), "bfloat": identity(TensorProto.BFLOAT16, ["N"]), "stepping": stepping()}
    for name, model in models.items():
        assert cloud.upload(name, {"model.onnx": model})["state"] == "registered"
    return cloud


class Ask:
    """Calls by name of either client, which differ in nothing but `await`."""

    def __init__(self, cloud: Cloud, kind: str) -> None:
        self.kind = kind
        self.url = str(cloud.access["api_url"]).removeprefix("http://")
        self.headers = {"Authorization": f"Bearer {cloud.access['token']}"}

    def __call__(self, method: str, *arguments: Any, **named: Any) -> Any:
        named = {"headers": self.headers} | named
        if self.kind == "aio":
            return asyncio.run(self._awaited(method, *arguments, **named))
        with triton.InferenceServerClient(self.url) as client:
            return getattr(client, method)(*arguments, **named)

    async def _awaited(self, method: str, *arguments: Any, **named: Any) -> Any:
        async with triton_aio.InferenceServerClient(self.url) as client:
            return await getattr(client, method)(*arguments, **named)


@pytest.fixture(params=["sync", "aio"])
def ask(served: Cloud, request: pytest.FixtureRequest) -> Ask:
    return Ask(served, request.param)


def tensor(name: str, array: np.ndarray, datatype: str, *, binary: bool = True) -> triton.InferInput:
    return triton.InferInput(name, list(array.shape), datatype).set_data_from_numpy(array, binary_data=binary)


def tensors(*in_json: str) -> list[triton.InferInput]:
    return [tensor(f"x-{n}", array, n.upper(), binary=n not in in_json) for n, array in TENSORS.items()]


def plain(array: np.ndarray) -> list[Any]:
    return [value.decode() if isinstance(value, bytes) else value for value in array.reshape(-1).tolist()]


def test_health_and_metadata(ask: Ask) -> None:
    assert ask("is_server_live")
    assert ask("is_server_ready")
    assert set(ask("get_server_metadata")) == {"name", "version", "extensions"}
    for version in ("", "1", "production"):
        assert ask("is_model_ready", "stepping", version)
        described = ask("get_model_metadata", "stepping", version)
        assert (described["name"], described["versions"], described["platform"]) == (
            "stepping",
            ["1"],
            "onnx_onnxruntime",
        )
        assert described["inputs"] == [
            {"name": "x", "datatype": "FP32", "shape": [-1, 2]},
            {"name": "state", "datatype": "FP32", "shape": [-1, 2]},
            {"name": "words", "datatype": "BYTES", "shape": [-1, -1]},
        ]
        assert described["parameters"]["optional_inputs"] == [{"name": "scale", "datatype": "FP32", "shape": [1]}]
        assert ask("get_model_config", "stepping", version)["input"][2]["data_type"] == "TYPE_STRING"
        [counted] = ask("get_inference_statistics", "stepping", version)["model_stats"]
        assert (counted["name"], counted["version"]) == ("stepping", "1")
    assert not ask("is_model_ready", "nobody")
    assert not ask("is_model_ready", "stepping", "9")
    rows = [row for row in ask("get_model_repository_index") if row["name"] == "stepping"]
    assert rows == [{"name": "stepping", "version": "1", "state": "READY", "reason": ""}]


@pytest.mark.parametrize("binary", [True, False])
def test_every_datatype(ask: Ask, binary: bool) -> None:
    wanted = [triton.InferRequestedOutput(f"y-{name}", binary_data=binary) for name in TENSORS]
    result = ask("infer", "every", tensors(*(() if binary else TENSORS)), outputs=wanted)
    assert [output["datatype"] for output in result.get_response()["outputs"]] == [name.upper() for name in TENSORS]
    for name, array in TENSORS.items():
        assert plain(result.as_numpy(f"y-{name}")) == array.tolist(), name


def test_bfloat16(ask: Ask) -> None:
    """In binary only, as the client has it; it cuts off what BF16 has no room for, so the values are exact there."""
    array = np.array([1.5, -2.0, 3e38], np.float32).view(np.uint32) & np.uint32(0xFFFF0000)
    given = triton.InferInput("x", [3], "BF16").set_data_from_numpy(array.view(np.float32))
    result = ask("infer", "bfloat", [given])
    assert result.get_output("y")["datatype"] == "BF16"
    assert result.as_numpy("y").tolist() == array.view(np.float32).tolist()


def test_json_and_binary_in_one_call(ask: Ask) -> None:
    """Every other input in JSON, and every other output of those that are asked for, in another order."""
    in_json = list(TENSORS)[::2]
    names = list(TENSORS)[:4:-1]
    wanted = [triton.InferRequestedOutput(f"y-{name}", binary_data=name in in_json) for name in names]
    result = ask("infer", "every", tensors(*in_json), outputs=wanted, request_id="mixed-1")
    response = result.get_response()
    assert response["id"] == "mixed-1"
    assert [output["name"] for output in response["outputs"]] == [f"y-{name}" for name in names]
    for name in names:
        assert plain(result.as_numpy(f"y-{name}")) == TENSORS[name].tolist(), name


@pytest.mark.parametrize("binary", [True, False])
def test_tensors_without_elements(ask: Ask, binary: bool) -> None:
    given = [tensor(f"x-{name}", array[:0], name.upper(), binary=binary) for name, array in TENSORS.items()]
    wanted = [triton.InferRequestedOutput(f"y-{name}", binary_data=binary) for name in TENSORS]
    result = ask("infer", "every", given, outputs=wanted)
    assert [output["shape"] for output in result.get_response()["outputs"]] == [[0]] * len(TENSORS)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_compressed_with_binary_and_json(ask: Ask, coding: str) -> None:
    words = np.array([["word"] * 300] * 2, object)
    ones = np.ones((2, 2), np.float32)
    given = [tensor("x", ones, "FP32"), tensor("state", ones, "FP32", binary=False), tensor("words", words, "BYTES")]
    how = {"request_compression_algorithm": coding, "response_compression_algorithm": coding}
    result = ask("infer", "stepping", given, **how)
    assert plain(result.as_numpy("said")) == ["word"] * 600
    assert result.as_numpy("total").tolist() == [[3.0, 3.0]] * 2


def test_optional_inputs_text_and_a_state_that_goes_back_and_forth(ask: Ask) -> None:
    words = tensor("words", np.array([["größe", "😀"]], object), "BYTES")
    x, state = np.array([[1, 10]], np.float32), np.zeros((1, 2), np.float32)
    for _ in range(3):  # with the default of the graph
        result = ask("infer", "stepping", [tensor("x", x, "FP32"), tensor("state", state, "FP32"), words])
        state = result.as_numpy("total")
    assert state.tolist() == [[6.0, 60.0]]
    assert plain(result.as_numpy("said")) == ["größe", "😀"]
    scale = tensor("scale", np.array([-6], np.float32), "FP32")
    result = ask("infer", "stepping", [scale, tensor("x", x, "FP32"), tensor("state", state, "FP32"), words])
    assert result.as_numpy("total").tolist() == [[0.0, 0.0]]


def test_versions_aliases_and_parameters(ask: Ask) -> None:
    """What the client may add to a call and nobody here acts on does no harm."""
    given = [tensor("x", np.array([1.0], np.float32), "BF16")]
    for version in ("1", "production"):
        named = {"model_version": version, "priority": 1, "timeout": 10**6, "parameters": {"mine": "x"}}
        result = ask("infer", "bfloat", given, sequence_id=7, sequence_start=True, **named)
        response = result.get_response()
        assert (response["model_name"], response["model_version"]) == ("bfloat", "1")
        assert "id" not in response or response["id"] == ""


def test_what_the_service_does_not_do_is_said(ask: Ask) -> None:
    for method, arguments in (
        ("load_model", ["stepping"]),
        ("unload_model", ["stepping"]),
        ("update_trace_settings", ["stepping", {}]),
        ("get_trace_settings", []),
        ("update_log_settings", [{}]),
        ("get_log_settings", []),
        ("get_system_shared_memory_status", []),
        ("register_system_shared_memory", ["r", "/r", 8]),
        ("unregister_system_shared_memory", ["r"]),
        ("get_cuda_shared_memory_status", []),
        ("unregister_cuda_shared_memory", ["r"]),
    ):
        with pytest.raises(triton.InferenceServerException, match="there is no route") as told:
            ask(method, *arguments)
        assert told.value.status() == "404", method


def test_shared_memory_in_a_tensor(ask: Ask) -> None:
    given = triton.InferInput("x", [1], "BF16")
    given.set_shared_memory("region", 2)
    with pytest.raises(triton.InferenceServerException, match="shared memory is not supported") as told:
        ask("infer", "bfloat", [given])
    assert told.value.status() == "501"


@pytest.mark.parametrize(
    ("model", "version", "changes", "status", "message"),
    [
        ("nobody", "", {}, "404", "no model 'nobody'"),
        ("bfloat", "9", {}, "404", "no version 9"),
        ("bfloat", "canary", {}, "404", "canary"),
        ("bfloat", "", {"outputs": [triton.InferRequestedOutput("z")]}, "400", "no output 'z'"),
        ("bfloat", "", {"headers": {}}, "401", "token"),
        ("stepping", "", {}, "400", "'x' has datatype"),
    ],
)
def test_errors_reach_the_caller(
    ask: Ask, model: str, version: str, changes: dict[str, Any], status: str, message: str
) -> None:
    given = [tensor("x", np.array([1.0], np.float32), "BF16")]
    with pytest.raises(triton.InferenceServerException, match=message) as told:
        ask("infer", model, given, model_version=version, **changes)
    assert told.value.status() == status


def test_a_body_beyond_what_a_call_carries(ask: Ask) -> None:
    many = np.zeros(2_300_000, np.float32)
    with pytest.raises(triton.InferenceServerException, match="send fewer or smaller inputs") as told:
        ask("infer", "bfloat", [tensor("x", many, "BF16")])
    assert told.value.status() == "413"


def test_many_calls_of_one_client_at_once(served: Cloud) -> None:
    """async_infer of the client that is not asynchronous: its threads share one pool of connections."""
    ask = Ask(served, "sync")
    arrays = [np.array([n, -n], np.float32) for n in range(8)]
    with triton.InferenceServerClient(ask.url, concurrency=4) as client:
        given = [[tensor("x", array, "BF16")] for array in arrays]
        calls = [client.async_infer("bfloat", inputs, headers=ask.headers) for inputs in given]
        answers = [call.get_result().as_numpy("y").tolist() for call in calls]
    assert answers == [array.tolist() for array in arrays]


def test_bodies_that_the_client_makes_for_other_senders(served: Cloud) -> None:
    """generate_request_body and parse_response_body, with an HTTP client of one's own between them."""
    given = [tensor("x", np.array([1.5, -2.0], np.float32), "BF16")]
    body, length = triton.InferenceServerClient.generate_request_body(given)
    headers = {"Inference-Header-Content-Length": str(length)}
    answer = served.api.post("/v2/models/bfloat/infer", content=body, headers=headers)
    size = answer.headers["Inference-Header-Content-Length"]
    result = triton.InferenceServerClient.parse_response_body(answer.content, header_length=int(size))
    assert result.as_numpy("y").tolist() == [1.5, -2.0]
    assert json.loads(answer.content[: int(size)])["model_name"] == "bfloat"
