"""Packages that say what they mean: files beside the model, plans that fit or do not, answers in the task's terms."""

from __future__ import annotations

import gzip
import json

import pytest

from functions.inference import app as inference
from functions.ingest import app as ingest
from functions.registry import app as registry
from functions.upload import app as upload
from shared.registry import models
from shared.storage.memory import MemoryStore
from tests.functions.test_flow import push
from tests.serving import packages
from tests.support import call, linear, s3_event


def embedder(preprocess: dict | None = None) -> dict[str, bytes]:
    """A package that makes vectors of texts: model, tokenizer, description."""
    described = {
        "task": "embedding",
        "preprocess": {"tokenizer": "tokenizer.json"} if preprocess is None else preprocess,
    }
    return {
        "tokenizer.json": packages.tokenizer().to_str().encode(),
        "amaas.json": json.dumps(described).encode(),
        "model.onnx": packages.lookup(4),
    }


def test_a_package_with_a_tokenizer(store: MemoryStore) -> None:
    assert push(store, "words", embedder())["state"] == "registered"
    one = call(inference.handler, "POST", "/models/words/predict", b"the cat", headers={"Content-Type": "text/plain"})
    body = {"model": "words@1", "input": ["the cat", "anna"]}
    many = call(inference.handler, "POST", "/v1/embeddings", body, scopes="infer:words")
    assert many.status == 200, many.body
    assert many.json["model"] == "words@1"
    assert many.json["data"][0]["embedding"] == pytest.approx(one.json["embedding"], abs=1e-6)
    assert many.headers["x-amaas-version"] == "1"
    other = call(inference.handler, "POST", "/v1/embeddings", body, scopes="infer:other")
    assert (other.status, "words" in other.json["error"]["message"]) == (403, True)
    assert call(inference.handler, "POST", "/v1/embeddings", {"model": "nobody", "input": "a"}).status == 404
    digest = call(registry.handler, "GET", "/models/words/versions/1").json["files"]["tokenizer.json"]
    assert json.loads(store.get(f"blobs/sha256/{digest}").body)["model"]["type"] == "WordLevel"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"tokenizer": "other.json"}, "not in the package"),
        ({"tokenizer": "tokenizer.json", "prefix": "the "}, ""),
        ({"kind": "image"} | {"mode": "L"}, "does not take one batch of images"),
        ({"kind": "sculpture"}, "no preprocess of kind 'sculpture'"),
        ({"kind": "table", "columns": [{"name": "a"}]}, "no preprocess of kind 'table'"),
        ({"tokenizer": "tokenizer.json", "padding": "left"}, "padding"),
        ({"tokenizer": "../model.onnx"}, "tokenizer"),
    ],
)
def test_what_a_package_may_declare(store: MemoryStore, changes: dict, why: str) -> None:
    state = push(store, "words", embedder(changes))
    assert state["state"] == ("rejected" if why else "registered")
    assert why in (state.get("reason") or "")


@pytest.mark.parametrize(
    ("file", "content", "code", "why"),
    [
        ("tokenizer.json", b'{"model": {"type": "Magic"}}', "bad_tokenizer", "tokenizer.json is no tokenizer"),
        ("tokenizer.json", b" ", "bad_tokenizer", "tokenizer.json is no tokenizer"),
        (
            "model.onnx",
            packages.lookup(4, mask=False).replace(b"input_ids", b"input_id_"),
            "task_failed",
            "'input_id_'",
        ),
    ],
)
def test_packages_that_could_answer_nobody(store: MemoryStore, file: str, content: bytes, code: str, why: str) -> None:
    """Refused when they are uploaded, not when they are first called."""
    state = push(store, "words", embedder() | {file: content})
    assert (state["state"], state["code"]) == ("rejected", code)
    assert why in state["reason"]
    assert call(registry.handler, "GET", "/models/words").status == 404


def test_the_manifest_says_that_the_task_was_tried(store: MemoryStore) -> None:
    push(store, "words", embedder())
    push(store, "plain", {"model.onnx": linear([[1.0]])})
    tried = [
        call(registry.handler, "GET", f"/models/{name}/versions/1").json["gate"].get("task")
        for name in ("words", "plain")
    ]
    assert tried == ["ran", None]


def test_plans_that_name_what_the_model_lacks(store: MemoryStore) -> None:
    for described, why in (
        ({"task": "text-classification", "postprocess": {"output": "nowhere"}}, "'nowhere'"),
        ({"task": "tabular", "preprocess": {"columns": [{"name": "a", "input": "b"}]}}, "'a' goes to no input"),
        ({"task": "tensor", "preprocess": {"mode": "L"}}, "omit it"),
    ):
        files = {"amaas.json": json.dumps(described).encode(), "model.onnx": linear([[1.0]])}
        state = push(store, "m", files)
        assert (state["state"], state["code"]) == ("rejected", "bad_manifest")
        assert why in state["reason"]


def test_predictions_take_and_give_compressed_bodies(store: MemoryStore) -> None:
    push(store, "words", embedder())
    body = gzip.compress(json.dumps({"inputs": ["the cat"] * 1000}).encode())
    headers = {"Content-Encoding": "gzip", "Accept-Encoding": "gzip", "Content-Type": "application/json"}
    answer = call(inference.handler, "POST", "/models/words/predict", body, headers=headers)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(json.loads(gzip.decompress(answer.body))["results"]) == 1000


@pytest.mark.parametrize(
    ("described", "why"),
    [
        ({"lables": ["a"]}, "did you mean 'labels'"),
        ({"license": "MIT"}, "did you mean 'licence'"),
        ({"postProcess": {"top_k": 1}}, "did you mean 'postprocess'"),
        ({"task": "classification"}, "there is no task 'classification'; there are image-classification"),
        ({"task": ["tabular"]}, "Expected `str`, got `array` - at `$.task`"),
        ({"task": "text-to-image"}, "or omit `task`: then the model takes and gives tensors"),
        ({"x-our-own": 1, "trained_by": "ann"}, ""),
    ],
)
def test_members_that_nothing_reads(store: MemoryStore, described: dict, why: str) -> None:
    files = {"model.onnx": linear([[1.0]]), "amaas.json": json.dumps(described).encode()}
    state = push(store, "m", files)
    assert state["state"] == ("rejected" if why else "registered")
    assert why in (state.get("reason") or "")


def test_a_regression_from_push_to_explanation(store: MemoryStore) -> None:
    columns = [{"name": "a"}, {"name": "b", "missing": 0}]
    described = {"task": "tabular-regression", "preprocess": {"columns": columns, "reference": "typical.csv"}}
    files = {
        "typical.csv": b"a,b\n0,0\n",
        "amaas.json": json.dumps(described).encode(),
        "model.onnx": linear([[1.0, 0.5], [10.0, 0.0]]),
    }
    state = push(store, "prices", files)
    assert state["state"] == "registered", state
    shown = call(registry.handler, "GET", "/models/prices/versions/1").json
    assert (shown["task"], shown["gate"]["task"]) == ("tabular-regression", "ran")
    body = {"input": {"a": 1, "b": 2}}
    assert call(inference.handler, "POST", "/models/prices/predict", body).json["value"] == [21.0, 0.5]
    explanation = call(inference.handler, "POST", "/models/prices/explain", body, query={"label": "0"}).json
    assert [part["attribution"] for part in explanation["attributions"]] == pytest.approx([1.0, 20.0])


def test_calls_of_every_route_are_counted(store: MemoryStore) -> None:
    push(store, "counted", embedder())
    text = {"headers": {"Content-Type": "text/plain"}}
    call(inference.handler, "POST", "/models/counted/predict", b"the cat", **text)
    call(inference.handler, "POST", "/models/counted/predict", {"inputs": ["the cat"] * 40})  # two runs
    call(inference.handler, "POST", "/v1/embeddings", {"model": "counted", "input": "anna"})
    tokens = {"shape": [1, 1], "datatype": "INT64", "data": [1]}
    inputs = [{"name": name} | tokens for name in ("input_ids", "attention_mask")]
    call(inference.handler, "POST", "/v2/models/counted/infer", {"inputs": inputs})
    assert call(inference.handler, "POST", "/models/counted/predict", b"\xff", **text).status == 400
    assert call(inference.handler, "POST", "/models/counted/explain", b"the cat", **text).status == 501
    [counted] = call(inference.handler, "GET", "/v2/models/counted/stats").json["model_stats"]
    assert (counted["inference_count"], counted["execution_count"]) == (4, 5)
    parts = counted["inference_stats"]
    assert (parts["success"]["count"], parts["fail"]["count"]) == (4, 2)
    assert all(parts[f"compute_{part}"]["ns"] > 0 for part in ("input", "infer", "output"))


def test_a_push_does_not_undo_a_deletion(store: MemoryStore) -> None:
    files = {"model.onnx": linear([[1.0]])}
    assert push(store, "m", files)["state"] == "registered"
    assert call(registry.handler, "DELETE", "/models/m").status == 200
    state = push(store, "m", files)
    assert (state["state"], state["code"]) == ("rejected", "deleted")
    assert "amaas restore m" in state["reason"]
    assert call(registry.handler, "POST", "/models/m/restore").status == 200
    assert push(store, "m", files)["version"] == 2
    assert [version["version"] for version in call(registry.handler, "GET", "/models/m/versions").json["versions"]]


def test_a_name_is_free_when_a_deletion_cannot_be_undone_any_more(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"model.onnx": linear([[1.0]])}
    push(store, "m", files)
    call(registry.handler, "DELETE", "/models/m")
    monkeypatch.setattr(models.blobs, "GRACE", 0.0)
    assert push(store, "m", files)["version"] == 2


def test_a_manifest_is_measured_before_it_is_sent_and_before_it_is_read(store: MemoryStore) -> None:
    announced = [{"name": "model.onnx", "size": 10}, {"name": "amaas.json", "size": 1024 * 1024 + 1}]
    refused = call(upload.handler, "POST", "/models/m/uploads", {"files": announced})
    assert (refused.status, "amaas.json has 1,048,577 bytes" in refused.json["error"]) == (400, True)
    announced[1]["size"] -= 1
    session = call(upload.handler, "POST", "/models/m/uploads", {"files": announced})
    assert session.status == 201
    store.put(f"uploads/{session.json['upload_id']}/files/model.onnx", linear([[1.0]]))
    store.put(f"uploads/{session.json['upload_id']}/files/amaas.json", b" " * (1024 * 1024 + 1))  # another one was sent
    ingest.handler(s3_event(f"uploads/{session.json['upload_id']}/files/amaas.json"), None)
    state = call(upload.handler, "GET", session.json["status_url"]).json
    assert (state["state"], state["code"]) == ("rejected", "too_large") and "amaas.json has 1,048,577" in state[
        "reason"
    ]
