"""What bench.inference and bench.coldstart serve and ask: models, their registration, requests, events."""

from __future__ import annotations

import base64
import json
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx as graphs
from onnx import TensorProto, helper, numpy_helper

from bench.machine import ROOT
from shared.package import manifest
from shared.package.manifest import Tensor
from shared.registry import blobs, versions
from shared.registry.log import Log
from shared.registry.state import Change, Version
from shared.runtime import layout, onnx
from shared.runtime.arrays import datatype_of

ZOO = ROOT / ".local" / "zoo"
EVENT = json.loads((ROOT / "tests" / "events" / "apigateway_proxy.json").read_text())
# scopes: for builds of release 0.1, which are compared with
CALLER = EVENT["requestContext"] | {
    "authorizer": {"scopes": "infer", "scope_list": '["infer"]', "principalId": "bench"}
}
# one row for each model: four numbers, or an image of 224 x 224 pixels
ROWS = {"tiny": [4], "mobilenet": [3, 224, 224], "resnet18": [3, 224, 224]}


class Call(NamedTuple):
    """An HTTP request, without what the connection adds."""

    path: str
    headers: dict[str, str]
    body: bytes


def files(folder: Path, zoo: Path = ZOO) -> dict[str, Path]:
    """The models by name: the tiny one is made in `folder`, the others by tests.zoo. Raises SystemExit."""
    (folder / "tiny.onnx").write_bytes(dense([4, 3], seed=0))
    paths = {"tiny": folder / "tiny.onnx"} | {name: zoo / name / "model.onnx" for name in ("mobilenet", "resnet18")}
    missing = [name for name, path in paths.items() if not path.exists()]
    if missing:
        raise SystemExit(f"{', '.join(missing)}: not in {zoo}; run `make bench-inference`, which makes them")
    return paths


def dense(widths: list[int], seed: int) -> bytes:
    """A model of dense layers, x [N, widths[0]] → y [N, widths[-1]], with random weights."""
    random, nodes, weights, name = np.random.default_rng(seed), [], [], "x"
    for layer, (fan_in, fan_out) in enumerate(pairwise(widths)):
        kernel = random.standard_normal((fan_in, fan_out), np.float32) / np.float32(fan_in**0.5)
        weights.append(numpy_helper.from_array(kernel, f"w{layer}"))
        last = layer == len(widths) - 2
        nodes.append(helper.make_node("MatMul", [name, f"w{layer}"], [f"m{layer}"]))
        nodes.append(helper.make_node("Softmax" if last else "Relu", [f"m{layer}"], ["y" if last else f"a{layer}"]))
        name = f"a{layer}"
    ends = [
        helper.make_tensor_value_info(end, TensorProto.FLOAT, ["batch", width])
        for end, width in (("x", widths[0]), ("y", widths[-1]))
    ]
    graph = helper.make_graph(nodes, "dense", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    graphs.checker.check_model(model)
    return bytes(model.SerializeToString())


def register(log: Log, name: str, model: bytes) -> Version:
    """Commit a version as ingest does: weights put in place, but nothing optimized, so that all serve one graph."""
    model = layout.aligned(model)
    session = onnx.load(model)
    inputs, outputs = (
        [Tensor(spec.name, spec.datatype, spec.shape) for spec in specs]  # type: ignore[arg-type]
        for specs in (session.inputs, session.outputs)
    )
    digest = blobs.write(log.store, model)
    described = blobs.write(log.store, manifest.encode(manifest.Manifest(inputs=inputs, outputs=outputs)))
    version = Version(
        version=0, task="tensor", manifest=described, source=digest, model=digest, size=len(model), upload="bench"
    )
    return versions.register(log, name, version, Change(by="bench"))


def values(model: str) -> np.ndarray:
    """An input of one row, normalized as images are: float32 of mean 0 and variance 1."""
    return np.random.default_rng(0).standard_normal([1, *ROWS[model]], np.float32)


def v2_json(name: str, array: np.ndarray) -> bytes:
    """The protocol's JSON with the data flat, each number as Python's own JSON writes it."""
    data = array.reshape(-1).tolist()
    tensor = {"name": name, "shape": list(array.shape), "datatype": "FP32", "data": data}
    return json.dumps({"inputs": [tensor]}).encode()


def v2_binary(arrays: dict[str, np.ndarray]) -> tuple[bytes, dict[str, str]]:
    """The protocol's binary extension both ways, for inputs by name; and its headers."""
    inputs = [
        {"name": name, "shape": list(array.shape), "datatype": datatype_of(array)}
        | {"parameters": {"binary_data_size": array.nbytes}}
        for name, array in arrays.items()
    ]
    head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    headers = {"content-type": "application/octet-stream", "inference-header-content-length": str(len(head))}
    return head + b"".join(array.tobytes() for array in arrays.values()), headers


def v2_calls(model: str, path: str) -> dict[str, Call]:
    name, array = ("x" if model == "tiny" else "image"), values(model)
    binary, headers = v2_binary({name: array})
    return {
        "json": Call(path, {"content-type": "application/json"}, v2_json(name, array)),
        "binary": Call(path, headers, binary),
    }


def event(call: Call, method: str = "POST") -> dict[str, Any]:
    """API Gateway's event for a call: the body in base64, as for every type with `*/*` among its binary types."""
    return EVENT | {
        "httpMethod": method,
        "path": call.path,
        "queryStringParameters": None,
        "headers": call.headers,
        "body": base64.b64encode(call.body).decode(),
        "isBase64Encoded": True,
        "requestContext": CALLER,
    }


def bytes_of(reply: dict[str, Any]) -> bytes:
    """The body of a function's answer, as API Gateway sends it on."""
    return base64.b64decode(reply["body"]) if reply["isBase64Encoded"] else reply["body"].encode()


def v2_values(headers: dict[str, str], body: bytes) -> np.ndarray:
    """The only output of an answer in the protocol's form, flat."""
    length = headers.get("inference-header-content-length")
    if length is not None:
        return np.frombuffer(body[int(length) :], np.float32)
    return np.array(json.loads(body)["outputs"][0]["data"], np.float32)
