"""What many tests need: real events (`sam local generate-event` made them), calls of a function, small models."""

from __future__ import annotations

import base64
import json
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from tests import conformance

EVENTS = Path(__file__).parent / "events"


def interruptible() -> None:
    """For `preexec_fn`: SIGINT interrupts, also where the tests run in the background, which ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def load_event(name: str) -> dict[str, Any]:
    return json.loads((EVENTS / f"{name}.json").read_text())


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def caller(scopes: str, token: str = "tester", **more: str) -> dict[str, str]:
    """What the authorizer says of a caller. scopes: separated by blanks."""
    return {"scope_list": json.dumps(scopes.split()), "principalId": token, **more}


def call(
    handler: Callable[..., Any],
    method: str,
    path: str,
    body: bytes | dict[str, Any] | str = b"",
    *,
    scopes: str = "admin",
    query: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
    authorizer: dict[str, str] | None = None,
    request_id: str | None = None,
) -> Answer:
    """Send one request to a function's handler, in API Gateway's own event; the answer has to be as it is described.

    scopes: separated by blanks. authorizer: more of its context. request_id: another than the event's.
    """
    event = load_event("apigateway_proxy")
    raw = json.dumps(body).encode() if isinstance(body, dict) else body.encode() if isinstance(body, str) else body
    event |= {"httpMethod": method, "path": path, "queryStringParameters": query, "headers": headers or {}}
    event |= {"body": base64.b64encode(raw).decode() if raw else None, "isBase64Encoded": bool(raw)}
    event["requestContext"]["authorizer"] = {**caller(scopes), **(authorizer or {})}
    event["requestContext"] |= {} if request_id is None else {"requestId": request_id}
    reply = handler(event, None)
    content = base64.b64decode(reply["body"]) if reply["isBase64Encoded"] else reply["body"].encode()
    conformance.check(handler, method, path, reply["statusCode"], reply["headers"], content)
    return Answer(reply["statusCode"], reply["headers"], content)


BOUNDARY = "----a-boundary"
FORM = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}  # the headers of `form`


def form(file: bytes | None = None, **fields: str) -> bytes:
    """A body in multipart/form-data."""
    parts = [f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode() for name, value in fields.items()]
    if file is not None:
        head = 'Content-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n'
        parts.append(head.encode() + file)
    return b"".join(f"--{BOUNDARY}\r\n".encode() + part + b"\r\n" for part in parts) + f"--{BOUNDARY}--\r\n".encode()


def s3_event(key: str, **extra: Any) -> dict[str, Any]:
    event = load_event("s3_put")
    event["Records"][0]["s3"]["object"] |= {"key": key, **extra}
    return event


def linear(weight: list[list[float]], name: str = "x", output: str = "y") -> bytes:
    """A model y = x @ weight with a free batch dimension, as ONNX bytes."""
    array = np.asarray(weight, np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", [name, "w"], [output])],
        "linear",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", array.shape[0]])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["N", array.shape[1]])],
        [numpy_helper.from_array(array, "w")],
    )
    return _model(graph)


def tiny_classifier(classes: int = 3, channels: int = 1, size: int = 4) -> bytes:
    """Images [N, channels, size, size] → logits: class k sums the pixels whose flat index is k modulo classes."""
    count = channels * size * size
    weight = np.zeros((count, classes), np.float32)
    weight[np.arange(count), np.arange(count) % classes] = 1
    graph = helper.make_graph(
        [helper.make_node("Flatten", ["image"], ["flat"]), helper.make_node("MatMul", ["flat", "w"], ["logits"])],
        "classifier",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", channels, size, size])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", classes])],
        [numpy_helper.from_array(weight, "w")],
    )
    return _model(graph)


def float_package(folder: Path) -> Path:
    """A package of a small CNN with random FP32 weights, for images [N, 1, 12, 12]; its golden set is its own."""
    random = np.random.default_rng(0)
    weights = {"kernel": (8, 1, 3, 3), "bias": (8,), "head": (200, 4), "offset": (4,)}
    tensors = [numpy_helper.from_array(random.normal(0, 0.2, s).astype(np.float32), n) for n, s in weights.items()]
    nodes = [
        helper.make_node("Conv", ["image", "kernel", "bias"], ["felt"]), helper.make_node("Relu", ["felt"], ["lit"]),
        helper.make_node("MaxPool", ["lit"], ["seen"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["seen"], ["flat"]),
        helper.make_node("Gemm", ["flat", "head", "offset"], ["logits"]),
    ]  # fmt: skip
    images = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, 12, 12])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 4])
    body = _model(helper.make_graph(nodes, "cnn", [images], [logits], tensors))
    rows = random.normal(size=(16, 1, 12, 12)).astype(np.float32)
    answers = onnxruntime.InferenceSession(body, providers=["CPUExecutionProvider"]).run(None, {"image": rows})[0]
    described = {"task": "tensor", "golden": {"file": "golden.npz", "rtol": 1e-3, "atol": 1e-4}}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(body)
    (folder / "amaas.json").write_text(json.dumps(described))
    np.savez(folder / "golden.npz", **{"input.image": rows, "output.logits": answers})
    return folder


def identity(element: int, shape: list[int | str]) -> bytes:
    """y = x for any element type."""
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "identity",
        [helper.make_tensor_value_info("x", element, shape)],
        [helper.make_tensor_value_info("y", element, shape)],
    )
    return _model(graph)


# One of each datatype that a session can run beside text; BF16 needs a model of its own.
ELEMENTS = {
    "bool": TensorProto.BOOL,
    **{f"uint{bits}": getattr(TensorProto, f"UINT{bits}") for bits in (8, 16, 32, 64)},
    **{f"int{bits}": getattr(TensorProto, f"INT{bits}") for bits in (8, 16, 32, 64)},
    "fp16": TensorProto.FLOAT16,
    "fp32": TensorProto.FLOAT,
    "fp64": TensorProto.DOUBLE,
    "bytes": TensorProto.STRING,
}


def identities() -> bytes:
    """y-t = x-t, of shape [N], for each of ELEMENTS."""
    inputs, outputs = (
        [helper.make_tensor_value_info(f"{side}-{name}", element, ["N"]) for name, element in ELEMENTS.items()]
        for side in "xy"
    )
    nodes = [helper.make_node("Identity", [f"x-{name}"], [f"y-{name}"]) for name in ELEMENTS]
    return _model(helper.make_graph(nodes, "identities", inputs, outputs))


def _model(graph: Any) -> bytes:
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
