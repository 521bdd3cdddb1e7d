"""Models of pairs of texts, from the upload on: ranking documents, and labels that come with the call."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from functions.inference import app as inference
from functions.registry import app as registry
from shared.errors import CODES
from shared.registry import aliases
from shared.registry.log import Log
from shared.registry.state import Change, Target
from shared.serving.counter import Counter
from shared.serving.observe import Observers
from shared.storage.memory import MemoryStore
from tests.functions.test_flow import push
from tests.functions.test_packages import embedder
from tests.serving import packages
from tests.serving.test_towers import RED, png
from tests.support import Answer, call, linear

DOCUMENTS = ["bob went to new york", "the cat sat on a mat", "anna and a cat"]
TEXT = "the cat sat on a mat with anna"
ZERO_SHOT = {
    "task": "zero-shot-classification",
    "postprocess": {"entailment": 2, "contradiction": 0},
    "labels": ["cat", "paris"],
}


def package(weights: list[float], **described: Any) -> dict[str, bytes]:
    declared = {"task": "text-classification", "preprocess": {"tokenizer": "tokenizer.json"}} | described
    return {
        "tokenizer.json": packages.tokenizer().to_str().encode(),
        "amaas.json": json.dumps(declared).encode(),
        "model.onnx": packages.overlap(weights),
    }


def rerank(model: str = "ranker", scopes: str = "infer", headers: dict[str, str] | None = None, **more: Any) -> Answer:
    body = {"model": model, "query": "a cat", "documents": DOCUMENTS} | more
    return call(inference.handler, "POST", "/v1/rerank", body, scopes=scopes, headers=headers)


def order(answer: Answer) -> list[int]:
    assert answer.status == 200, answer.body
    return [one["index"] for one in answer.json["results"]]


def test_documents_are_ranked_by_a_cross_encoder(store: MemoryStore) -> None:
    assert push(store, "ranker", package([0.5]))["state"] == "registered"
    answer = rerank(top_n=2, return_documents=True)
    assert order(answer) == [1, 2]
    assert answer.json["results"][0]["document"] == {"text": DOCUMENTS[1]}
    assert (answer.json["model"], answer.headers["x-amaas-version"]) == ("ranker", "1")
    assert order(rerank("ranker@1")) == order(rerank("ranker@production")) == [1, 2, 0]
    body = gzip.compress(json.dumps({"model": "ranker", "query": "cat", "documents": DOCUMENTS}).encode())
    packed = call(inference.handler, "POST", "/v1/rerank", body, headers={"Content-Encoding": "gzip"})
    assert order(packed) == [1, 2, 0]
    as_cohere = {"model": "ranker", "query": "cat", "documents": DOCUMENTS}
    assert call(inference.handler, "POST", "/v2/rerank", as_cohere, scopes="infer:ranker").json == packed.json
    assert call(inference.handler, "POST", "/v2/rerank", as_cohere, scopes="infer:other").status == 403


def test_documents_are_ranked_by_an_embedding_model(store: MemoryStore) -> None:
    assert push(store, "words", embedder())["state"] == "registered"
    answer = rerank("words", documents=["paris", "a cat", "york"])
    assert order(answer)[0] == 1
    assert answer.json["results"][0]["relevance_score"] == pytest.approx(1, abs=1e-6)
    assert order(rerank("words", documents=["paris", "a cat"], top_n=1.0)) == [1]
    # the query is read once, and not with each document
    assert rerank("words", query="a " * 10_000, documents=["b"] * 401).status == 200
    assert rerank("words", documents=["b " * 400_000] * 11).status == 413
    whole = {"model": "words", "input": "a cat", "dimensions": 3.0}
    assert len(call(inference.handler, "POST", "/v1/embeddings", whole).json["data"][0]["embedding"]) == 3


@pytest.mark.parametrize(
    ("more", "status", "kind", "why"),
    [
        ({"model": "nobody"}, 404, "not_found_error", "nobody"),
        ({"model": "ranker@9"}, 404, "not_found_error", "9"),
        ({"scopes": "infer:other"}, 403, "permission_error", "ranker"),
        ({"scopes": "read"}, 403, "permission_error", "infer"),
        ({"documents": []}, 400, "invalid_request_error", "1 to 1,024 documents"),
        ({"query": " "}, 400, "invalid_request_error", "the query is empty"),
        ({"model": "sums"}, 400, "invalid_request_error", "Name a model of the task 'text-classification'"),
        ({"documents": ["a" * 1_000_001]}, 413, "invalid_request_error", "characters"),
        ({"documents": ["a"] * 1025}, 413, "invalid_request_error", "1,025 documents, and a call ranks 1,024"),
        ({"query": "a" * 20_000, "documents": ["b"] * 401}, 413, "invalid_request_error", "8,020,401 characters"),
        ({"top_n": 1.5}, 400, "invalid_request_error", "top_n"),
        ({"headers": {"Content-Encoding": "br"}}, 415, "invalid_request_error", "br"),
    ],
)
def test_errors_have_the_form_of_openais(
    store: MemoryStore, more: dict[str, Any], status: int, kind: str, why: str
) -> None:
    push(store, "ranker", package([0.5]))
    push(store, "sums", {"model.onnx": linear([[1.0]])})
    refused = rerank(**more)
    assert refused.status == status, refused.body
    assert refused.json["error"] == {
        "message": refused.json["error"]["message"],
        "type": kind,
        "param": None,
        "code": CODES[status],
        "request_id": refused.headers["x-request-id"],
    }
    assert why in refused.json["error"]["message"]


def test_calls_with_a_key_keep_to_a_version_of_a_canary_and_are_counted(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for weight in (0.5, -0.5):
        push(store, "ranker", package([weight]))
    aliases.move(Log(store), "ranker", "production", Target.of({1: 1, 2: 1}), Change(by="op"))
    counter = Counter(lambda: store, afterwards=True)
    monkeypatch.setattr(inference.calls, "observers", Observers())
    inference.calls.observe_for_counts(counter)
    found = {}
    for number in range(12):
        first, second = (rerank(headers={"x-request-key": f"{number}"}) for _ in range(2))
        assert order(first) == order(second) == ([1, 2, 0] if first.headers["x-amaas-version"] == "1" else [0, 1, 2])
        found[number] = first.headers["x-amaas-version"]
    assert set(found.values()) == {"1", "2"}
    assert rerank(query=" ").status == 400
    counter.finish()
    sums = call(registry.handler, "GET", "/models/ranker/stats").json["sums"]
    assert sum(one["requests"] for one in sums) == 24
    assert {one["version"] for one in sums} == {1, 2}


def test_labels_that_come_with_the_call(store: MemoryStore) -> None:
    state = push(store, "zero", package([-1.0, 0.0, 1.0], **ZERO_SHOT))
    assert state["state"] == "registered", state
    shown = call(registry.handler, "GET", "/models/zero/versions/1").json
    assert (shown["task"], shown["gate"]["task"]) == ("zero-shot-classification", "ran")
    text = {"headers": {"Content-Type": "text/plain"}}
    own = call(inference.handler, "POST", "/models/zero/predict", TEXT, **text)
    assert [one["label"] for one in own.json["predictions"]] == ["cat", "paris"]
    assert "x-amaas-answer-id" in own.headers
    body = {"inputs": [TEXT, "bob"], "parameters": {"labels": ["bob", "anna"], "multi_label": True}}
    results = call(inference.handler, "POST", "/models/zero/predict", body).json["results"]
    assert [one["predictions"][0]["label"] for one in results] == ["anna", "bob"]
    asked = call(inference.handler, "POST", "/models/zero/predict", TEXT, query={"labels": "paris,mat"}, **text)
    assert [one["label"] for one in asked.json["predictions"]] == ["mat", "paris"]
    refused = call(inference.handler, "POST", "/models/zero/predict", TEXT, query={"labels": "mat,mat"}, **text)
    assert (refused.status, refused.json["error"]) == (400, "the label 'mat' is there twice: send each once")


@pytest.mark.parametrize(
    ("changes", "code", "why"),
    [
        ({"postprocess": {"entailment": 3, "contradiction": 0}}, "task_failed", "the model has classes 0 to 2"),
        ({"postprocess": {"entailment": 2}}, "task_failed", "does not say which is contradiction"),
        ({"postprocess": {"contradiction": 0}}, "bad_manifest", "entailment"),
        ({"postprocess": {"entailment": 2, "contradiction": 0, "template": "{0}"}}, "bad_manifest", "template"),
        ({"postprocess": {"entailment": 2, "contradiction": 0, "output": "nowhere"}}, "bad_manifest", "'nowhere'"),
        ({"postprocess": {"kind": "scores"}}, "bad_manifest", "no postprocess of kind 'scores'"),
        ({"postprocess": None}, "task_failed", "which of its classes is entailment"),
        ({"labels": [f"{number}" for number in range(101)]}, "task_failed", "101 labels, and 100 at most"),
        ({"labels": ["cat", "cat"]}, "task_failed", "'cat' is there twice"),
        ({"labels": []}, "", ""),
    ],
)
def test_packages_that_choose_between_labels(store: MemoryStore, changes: dict, code: str, why: str) -> None:
    state = push(store, "zero", package([-1.0, 0.0, 1.0], **ZERO_SHOT | changes))
    assert (state["state"], state.get("code") or "") == (
        ("rejected", code) if code else ("registered", state.get("code") or "")
    )
    assert why in (state.get("reason") or "")


TOWERS = {
    "task": "zero-shot-classification",
    "preprocess": {"kind": "image", "size": [4, 4]},
    "postprocess": {"kind": "similarity", "text": {"tokenizer": "tokenizer.json"}},
}


def towers(**described: Any) -> dict[str, bytes]:
    return package([1.0], **TOWERS | described) | {"model.onnx": packages.towers()}


def test_images_are_classified_by_labels_that_come_with_the_call(store: MemoryStore) -> None:
    state = push(store, "clip", towers())
    assert state["state"] == "registered", state
    assert call(registry.handler, "GET", "/models/clip/versions/1").json["gate"]["task"] == "ran"
    image = {"headers": {"Content-Type": "image/png"}}
    answer = call(inference.handler, "POST", "/models/clip/predict", png(RED), query={"labels": "mat,cat"}, **image)
    assert answer.status == 200, answer.body
    assert [one["label"] for one in answer.json["predictions"]] == ["cat", "mat"]
    refused = call(inference.handler, "POST", "/models/clip/predict", png(RED), **image)
    assert (refused.status, "has no labels of its own" in refused.json["error"]) == (400, True)


@pytest.mark.parametrize(
    ("changes", "code", "why"),
    [
        ({"postprocess": {"kind": "similarity", "text": {}}}, "task_failed", "names no tokenizer"),
        ({"postprocess": {"kind": "similarity", "text": {"tokenizer": "other.json"}}}, "bad_manifest", "other.json"),
        ({"postprocess": {"kind": "similarity"}}, "bad_manifest", "text"),
        (
            {"postprocess": TOWERS["postprocess"] | {"output": "text_embeds"}},
            "task_failed",
            "is no table of logits",
        ),
        ({"preprocess": None}, "task_failed", "which of its classes is entailment"),
    ],
)
def test_packages_of_two_towers(store: MemoryStore, changes: dict, code: str, why: str) -> None:
    state = push(store, "clip", towers(**changes))
    assert (state["state"], state["code"]) == ("rejected", code)
    assert why in state["reason"]
