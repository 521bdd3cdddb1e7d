"""Bad models and bad calls through the running gateway: refused with a reason, and the service goes on."""

from __future__ import annotations

import json

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.cloud.conftest import ROOT, Cloud
from tests.support import linear, tiny_classifier

pytestmark = pytest.mark.cloud
IMAGES = sorted((ROOT / "examples" / "images").glob("fashion-*.png"))


def _hostile() -> dict[str, bytes]:
    def model(nodes: list, inputs: list, outputs: list, weights: list | None = None) -> bytes:
        graph = helper.make_graph(nodes, "g", inputs, outputs, weights or [])
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()

    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    outside = numpy_helper.from_array(np.zeros(4, np.float32), "w")
    outside.ClearField("raw_data")
    outside.data_location = TensorProto.EXTERNAL
    outside.external_data.add(key="location", value="../../../../etc/passwd")
    size = numpy_helper.from_array(np.array([10**9], np.int64), "n")
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["c2"]), helper.make_node("Identity", ["a"], ["a2"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
            helper.make_tensor_value_info("a", 1, [1]),
        ],
        [helper.make_tensor_value_info("c2", TensorProto.BOOL, []), helper.make_tensor_value_info("a2", 1, [1])],
    )
    trips = numpy_helper.from_array(np.array(2**62, np.int64), "trips")
    yes = numpy_helper.from_array(np.array(True), "yes")
    return {
        "not ONNX": b"hello, I am a text file",
        "truncated": tiny_classifier()[:-50],
        "external data": model([helper.make_node("Add", ["x", "w"], ["y"])], [x], [y], [outside]),
        "crash": model([helper.make_node("Max", ["x", ""], ["y"])], [x], [y]),
        "endless": model([helper.make_node("Loop", ["trips", "yes", "x"], ["y"], body=body)], [x], [y], [trips, yes]),
        "memory bomb": model([helper.make_node("ConstantOfShape", ["n"], ["y"])], [], [y], [size]),
    }


@pytest.mark.parametrize("case", _hostile())
def test_a_hostile_model_is_rejected_and_the_service_goes_on(cloud: Cloud, case: str) -> None:
    name = "hostile-" + case.lower().replace(" ", "-")
    state = cloud.upload(name, {"model.onnx": _hostile()[case]})
    assert state["state"] == "rejected"
    assert len(state["reason"]) > 20
    assert cloud.api.get(f"/models/{name}").status_code == 404
    answer = cloud.api.post(
        "/models/fashion-mnist/predict", content=IMAGES[0].read_bytes(), headers={"Content-Type": "image/png"}
    )
    assert answer.status_code == 200


def test_a_golden_set_that_does_not_match(cloud: Cloud) -> None:
    golden = {"golden": {"cases": [{"inputs": {"x": [[1, 1]]}, "outputs": {"y": [[9]]}}]}}
    files = {"model.onnx": linear([[1.0], [1.0]]), "amaas.json": json.dumps(golden).encode()}
    state = cloud.upload("golden", files)
    assert (state["state"], state["code"]) == ("rejected", "golden_mismatch")


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "message"),
    [
        ("POST", "/models/fashion-mnist/predict", b"no image", 400, "image"),
        ("POST", "/models/nope/predict", b"x", 404, "nope"),
        ("POST", "/models/fashion-mnist/versions/99/predict", b"x", 404, "99"),
        ("POST", "/models/fashion-mnist/versions/canary/predict", b"x", 404, "canary"),
        ("POST", "/v2/models/fashion-mnist/infer", b"{", 400, "JSON"),
        ("POST", "/v2/models/fashion-mnist/infer", b'{"inputs": []}', 400, "lacks"),
        ("POST", "/models/fashion-mnist/predict", b"x" * 4_600_000, 413, "bytes"),
        ("POST", "/models/a..x/uploads", b'{"files": [{"name": "model.onnx", "size": 9}]}', 400, "name"),
        ("PUT", "/models/fashion-mnist/aliases/production", b'{"version": 99}', 404, "99"),
        ("GET", "/v2/trace/setting", b"", 404, "no route"),
        ("GET", "/nothing/here", b"", 404, "route"),
        ("GET", "/uploads/00000000000000000", b"", 404, "upload"),
    ],
)
def test_bad_calls_get_one_error_shape(
    cloud: Cloud, method: str, path: str, content: bytes, status: int, message: str
) -> None:
    answer = cloud.api.request(method, path, content=content)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json()) == ["error", "code", "request_id"]
    assert message in answer.json()["error"]
