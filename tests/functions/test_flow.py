"""The whole path at function level: ticket → storage event → version → prediction → promotion, and what goes wrong."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

from functions.inference import app as inference
from functions.ingest import app as ingest
from functions.registry import app as registry
from functions.upload import app as upload
from shared import keys
from shared.errors import Unavailable
from shared.registry.log import Log
from shared.storage.memory import MemoryStore
from tests.support import Answer, call, linear, s3_event, tiny_classifier

MANIFEST = {
    "name": "shapes",
    "task": "image-classification",
    "preprocess": {"mode": "L", "size": [4, 4]},
    "labels": ["a", "b", "c"],
    "card": "# Shapes",
}


ONE = {"files": [{"name": "model.onnx", "size": 100}]}


def announced(files: dict[str, bytes]) -> dict:
    return {"files": [{"name": name, "size": len(body)} for name, body in files.items()]}


def push(store: MemoryStore, model: str, files: dict[str, bytes]) -> dict:
    """Announce, put every file, deliver the events, and return the upload's state."""
    answer = call(upload.handler, "POST", f"/models/{model}/uploads", announced(files))
    assert answer.status == 201, answer.body
    ticket = answer.json
    for name, body in files.items():
        key = f"uploads/{ticket['upload_id']}/files/{name}"
        store.put(key, body)
        ingest.handler(s3_event(key), None)
    return call(upload.handler, "GET", ticket["status_url"]).json


def infer(path: str, values: list, **changes) -> Answer:
    tensor = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": values} | changes
    return call(inference.handler, "POST", path, {"inputs": [tensor]})


def png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.array([[255, 0, 0, 255]] * 4, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def test_configuration_and_statistics_in_tritons_form(store: MemoryStore) -> None:
    push(store, "pair", {"model.onnx": linear([[1.0], [1.0]])})
    found = call(inference.handler, "GET", "/v2/models/pair/config").json
    assert (found["name"], found["backend"], found["max_batch_size"]) == ("pair", "onnxruntime", 0)
    assert found["input"] == [{"name": "x", "data_type": "TYPE_FP32", "dims": [-1, 2]}]
    counts = "/v2/models/pair/versions/1/stats"
    assert call(inference.handler, "GET", counts).json["model_stats"][0]["inference_count"] == 0
    for values in ([1.0, 2.0], [3.0, 4.0], [1.0]):  # the last is one too few
        infer("/v2/models/pair/infer", values)
    [counted] = call(inference.handler, "GET", counts).json["model_stats"]
    parts = counted["inference_stats"]
    assert (parts["success"]["count"], parts["fail"]["count"], counted["inference_count"]) == (2, 1, 2)
    assert parts["success"]["ns"] == sum(parts[f"compute_{part}"]["ns"] for part in ("input", "infer", "output")) > 0
    assert call(inference.handler, "GET", "/v2/models/none/stats").status == 404


def test_from_ticket_to_prediction(store: MemoryStore) -> None:
    state = push(store, "shapes", {"model.onnx": tiny_classifier(), "amaas.json": json.dumps(MANIFEST).encode()})
    assert (state["state"], state["version"]) == ("registered", 1)
    answer = call(inference.handler, "POST", "/models/shapes/predict", png(), headers={"Content-Type": "image/png"})
    assert answer.status == 200
    assert (answer.json["model"], answer.json["version"]) == ("shapes", 1)
    assert {p["label"] for p in answer.json["predictions"]} == {"a", "b", "c"}
    assert sum(p["score"] for p in answer.json["predictions"]) == pytest.approx(1, abs=1e-5)
    shown = call(registry.handler, "GET", "/models/shapes").json
    assert (shown["card"], shown["aliases"]["production"]["version"]) == ("# Shapes", 1)
    served = call(registry.handler, "GET", "/models/shapes/versions/production").json
    assert served["inputs"] == [{"name": "image", "datatype": "FP32", "shape": [-1, 1, 4, 4]}]
    assert served["digest"] == shown["versions"][0]["digest"]


def test_versions_promotion_and_pins(store: MemoryStore) -> None:
    for n in (1, 2):
        assert push(store, "m", {"model.onnx": linear([[float(n)], [0.0]])})["version"] == n
    values = {p: infer(p, [1.0, 1.0]).json for p in ("/v2/models/m/infer", "/v2/models/m/versions/2/infer")}
    assert [v["outputs"][0]["data"] for v in values.values()] == [[1.0], [2.0]]
    moved = call(registry.handler, "PUT", "/models/m/aliases/production", {"version": 2, "reason": "better"})
    assert moved.json == {
        "model": "m",
        "alias": "production",
        "version": 2,
        "revision": 3,
        "since": 3,
        "previous": 1,
    }
    after = infer("/v2/models/m/versions/production/infer", [1.0, 1.0])
    assert after.json["model_version"] == "2"
    assert after.headers["x-amaas-version"] == "2"
    records = call(registry.handler, "GET", "/models/m/history").json["records"]
    assert [(r["kind"], r.get("reason")) for r in records] == [
        ("alias", "better"),
        ("register", None),
        ("register", None),
    ]
    assert all(r["by"] == "tester" for r in records)


def test_the_inbox_needs_no_tool(store: MemoryStore) -> None:
    store.put("inbox/iris/my model.onnx", linear([[1.0], [2.0]]))
    event = s3_event("inbox/iris/my+model.onnx")
    for _ in range(3):  # events come at least once
        ingest.handler(event, None)
    uploads = call(upload.handler, "GET", "/models/iris/uploads").json["uploads"]
    assert [(u["state"], u["version"]) for u in uploads] == [("registered", 1)]
    assert infer("/v2/models/iris/infer", [1.0, 1.0]).json["outputs"][0]["data"] == [3.0]
    assert uploads[0]["by"].startswith("s3:")


def test_events_repeat_and_come_in_any_order(store: MemoryStore) -> None:
    files = {"model.onnx": linear([[1.0], [2.0]]), "amaas.json": b'{"task": "tensor"}'}
    ticket = call(upload.handler, "POST", "/models/m/uploads", announced(files)).json
    keys = [f"uploads/{ticket['upload_id']}/files/{name}" for name in files]
    store.put(keys[1], files["amaas.json"])
    ingest.handler(s3_event(keys[1]), None)
    ingest.handler(s3_event(f"uploads/{ticket['upload_id']}/ticket.json"), None)
    assert call(upload.handler, "GET", ticket["status_url"]).json["state"] == "waiting"
    store.put(keys[0], files["model.onnx"])
    for key in (keys[1], keys[0], keys[0], keys[1]):
        ingest.handler(s3_event(key), None)
    assert call(upload.handler, "GET", ticket["status_url"]).json["version"] == 1
    assert len(call(registry.handler, "GET", "/models/m/versions").json["versions"]) == 1


def test_an_interrupted_check_says_so_and_goes_on(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = call(upload.handler, "POST", "/models/m/uploads", ONE).json
    key = f"uploads/{ticket['upload_id']}/files/model.onnx"
    store.put(key, linear([[1.0], [0.0]]))
    with monkeypatch.context() as broken:
        broken.setattr("shared.registry.log.Log.append", _unavailable)
        with pytest.raises(Unavailable):
            ingest.handler(s3_event(key), None)
    state = call(upload.handler, "GET", ticket["status_url"]).json
    assert (state["state"], state["code"]) == ("checking", "interrupted")
    assert call(registry.handler, "GET", "/models/m").status == 404
    ingest.handler(s3_event(key), None)  # delivered again
    state = call(upload.handler, "GET", ticket["status_url"]).json
    assert (state["state"], state["version"]) == ("registered", 1)
    assert "reason" not in state


def _unavailable(*_: object) -> None:
    raise Unavailable("the store is away")


BAD_PACKAGES = {
    "text": {"model.onnx": b"this is not a model"},
    "truncated": {"model.onnx": tiny_classifier()[:-40]},
    "bad manifest": {"model.onnx": tiny_classifier(), "amaas.json": b"{"},
    "unknown task": {"model.onnx": tiny_classifier(), "amaas.json": b'{"task": "telepathy"}'},
    "other input": {
        "model.onnx": tiny_classifier(),
        "amaas.json": b'{"inputs": [{"name": "z", "datatype": "FP32", "shape": [1]}]}',
    },
    "golden set": {
        "model.onnx": linear([[1.0], [0.0]]),
        "amaas.json": json.dumps(
            {"golden": {"cases": [{"inputs": {"x": [[1.0, 0.0]]}, "outputs": {"y": [[5.0]]}}]}}
        ).encode(),
    },
}


@pytest.mark.parametrize("case", BAD_PACKAGES)
def test_a_bad_package_is_rejected_and_leaves_nothing(store: MemoryStore, case: str) -> None:
    state = push(store, "m", BAD_PACKAGES[case])
    assert state["state"] == "rejected"
    assert len(state["reason"]) > 20
    assert state["code"]
    assert call(registry.handler, "GET", "/models/m").status == 404
    assert call(registry.handler, "GET", "/models").json["models"] == []
    assert not store.list_page("blobs/").objects
    assert push(store, "m", {"model.onnx": linear([[1.0], [0.0]])})["version"] == 1


def test_a_package_can_be_published_under_another_name(store: MemoryStore) -> None:
    push(store, "mine", {"model.onnx": linear([[1.0], [0.0]]), "amaas.json": b'{"name": "someone-elses"}'})
    assert call(registry.handler, "GET", "/models/mine/versions/1").json["name"] == "mine"


def test_a_golden_set_that_matches_is_recorded(store: MemoryStore) -> None:
    golden = {"golden": {"cases": [{"inputs": {"x": [[1.0, 0.0]]}, "outputs": {"y": [[5.0]]}}]}}
    state = push(store, "m", {"model.onnx": linear([[5.0], [0.0]]), "amaas.json": json.dumps(golden).encode()})
    assert state["state"] == "registered", state
    gate = call(registry.handler, "GET", "/models/m/versions/1").json["gate"]
    assert gate["golden"]["cases"] == 1


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("POST", "/v2/models/nope/infer", None, 404, "no model 'nope'"),
        ("POST", "/v2/models/m/versions/9/infer", None, 404, "no version 9"),
        ("POST", "/v2/models/m/versions/canary/infer", None, 404, "'canary'"),
        ("POST", "/v2/models/..%2Fx/infer", None, 400, "not a model name"),
        ("POST", "/v2/models/m/infer", {"shape": [1, 3], "data": [1, 2, 3]}, 400, "shape"),
        ("POST", "/v2/models/m/infer", {"datatype": "INT8"}, 400, "FP32"),
        ("POST", "/v2/models/m/infer", {"data": [1]}, 400, "1 values"),
        ("POST", "/v2/models/m/infer", {"name": "q"}, 400, "no input 'q'"),
    ],
)
def test_bad_calls(store: MemoryStore, method: str, path: str, body, status: int, message: str) -> None:
    push(store, "m", {"model.onnx": linear([[1.0], [0.0]])})
    answer = infer(path, [1.0, 2.0], **(body or {}))
    assert answer.status == status
    assert message in answer.json["error"]


def test_the_protocols_questions(store: MemoryStore) -> None:
    push(store, "m", {"model.onnx": linear([[1.0], [0.0]])})
    get = lambda path: call(inference.handler, "GET", path, scopes="infer:m")  # noqa: E731
    assert get("/v2").json["name"] == "amaas"
    assert get("/v2/health/live").json["live"] is True
    assert get("/v2/health/ready").json["ready"] is True
    assert get("/v2/models").json == {"models": ["m"]}
    metadata = get("/v2/models/m").json
    assert (metadata["versions"], metadata["platform"]) == (["1"], "onnx_onnxruntime")
    assert metadata["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}]
    assert get("/v2/models/m/versions/1/ready").json == {"name": "m", "ready": True}
    assert get("/v2/models/m/versions/2/ready").status == 404
    index = call(inference.handler, "POST", "/v2/repository/index", b"").json
    assert index == [{"name": "m", "version": "1", "state": "READY", "reason": ""}]
    assert call(inference.handler, "POST", "/v2/repository/index", b'{"ready": true}').json == index
    assert call(inference.handler, "POST", "/v2/repository/index", b"[null]").status == 400


def test_a_model_that_is_not_ready_is_answered_as_the_protocol_has_it(store: MemoryStore) -> None:
    push(store, "m", {"model.onnx": linear([[1.0], [0.0]])})
    store.delete(keys.blob(Log(store).read("m").versions[1].model))
    answer = call(inference.handler, "GET", "/v2/models/m/ready", scopes="infer:m")
    assert (answer.status, answer.json) == (503, {"name": "m", "ready": False})


def test_scopes_hold_for_each_route(store: MemoryStore) -> None:
    push(store, "m", {"model.onnx": linear([[1.0], [0.0]])})
    assert call(inference.handler, "GET", "/v2/models/m", scopes="read").status == 403
    assert call(registry.handler, "GET", "/models/m", scopes="infer").status == 403
    assert call(registry.handler, "PUT", "/models/m/aliases/production", {"version": 1}, scopes="read").status == 403
    assert call(upload.handler, "POST", "/models/m/uploads", ONE, scopes="read").status == 403
    assert call(upload.handler, "POST", "/models/other/uploads", ONE, scopes="write:m").status == 403
    assert call(registry.handler, "GET", "/models", scopes="read:other").json["models"] == []


def test_aliases_refuse_what_is_wrong(store: MemoryStore) -> None:
    push(store, "m", {"model.onnx": linear([[1.0], [0.0]])})
    put = lambda path, body: call(registry.handler, "PUT", path, body).status  # noqa: E731
    assert put("/models/m/aliases/Production!", {"version": 1}) == 400
    assert put("/models/m/aliases/production", {"version": 7}) == 404
    assert put("/models/m/aliases/production", {"version": "1"}) == 400
    assert put("/models/m/aliases/production", {}) == 400
    assert put("/models/m/aliases/production", {"version": 1, "expect_revision": 9}) == 409
    assert put("/models/nope/aliases/production", {"version": 1}) == 404
    assert call(registry.handler, "DELETE", "/models/m/aliases/production").status == 400


def test_history_names_the_token_that_pushed(store: MemoryStore) -> None:
    files = {"model.onnx": linear([[1.0], [1.0]])}
    opened = call(upload.handler, "POST", "/models/m/uploads", announced(files), authorizer={"name": "ann's laptop"})
    key = f"uploads/{opened.json['upload_id']}/files/model.onnx"
    store.put(key, files["model.onnx"])
    ingest.handler(s3_event(key), None)
    [record] = call(registry.handler, "GET", "/models/m/history").json["records"]
    assert (record["kind"], record["by"], record["name"]) == ("register", "tester", "ann's laptop")
