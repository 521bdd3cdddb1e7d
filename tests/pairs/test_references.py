"""Models as PyTorch exports them, through the gate, answer as Hugging Face's own code does (make.py wrote both)."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

from functions.inference import app as inference
from shared.storage.memory import MemoryStore
from tests.functions.conftest import store
from tests.functions.test_flow import push
from tests.pairs.settings import FOLDER, LABELS, MEAN, SIDE, STD, TEMPLATES, TEXTS
from tests.support import call

__all__ = ["store"]  # a fixture

FOUND = json.loads((FOLDER / "references.json").read_text())
TOKENIZER = {"tokenizer": "tokenizer.json"}
CLOSE = 2e-5  # the kernels of two runtimes, and six digits of an answer


def upload(store: MemoryStore, model: str, **described: Any) -> None:
    files = {"model.onnx": (FOLDER / f"{model}.onnx").read_bytes(), "amaas.json": json.dumps(described).encode()}
    state = push(store, model, files | {"tokenizer.json": (FOLDER / "tokenizer.json").read_bytes()})
    assert state["state"] == "registered", state


def predict(model: str, inputs: list[Any], **parameters: Any) -> list[dict[str, float]]:
    body, headers = {"inputs": inputs, "parameters": parameters}, {"Content-Type": "application/json"}
    answer = call(inference.handler, "POST", f"/models/{model}/predict", body, headers=headers)
    assert answer.status == 200, answer.body
    return [{one["label"]: one["score"] for one in result["predictions"]} for result in answer.json["results"]]


def test_the_references_say_something() -> None:
    scores = np.array([list(one["scores"].values()) for one in FOUND["zero_shot"] if len(one["labels"]) > 1])
    assert scores.std(0).min() > 0.05 and np.ptp(list(FOUND["relevance"].values())) > 0.1
    assert np.ptp(FOUND["clip"]["scores"]) > 0.1


def test_zero_shot_classification_of_texts(store: MemoryStore) -> None:
    plan = {"entailment": 0, "contradiction": 2}
    upload(store, "nli", task="zero-shot-classification", preprocess=TOKENIZER, postprocess=plan)
    for expected in FOUND["zero_shot"]:
        asked = {name: expected[name] for name in ("labels", "template", "multi_label")}
        [alone] = predict("nli", [expected["text"]], **asked)
        together = predict("nli", TEXTS, **asked)[TEXTS.index(expected["text"])]
        assert alone == pytest.approx(expected["scores"], abs=CLOSE)
        assert together == pytest.approx(expected["scores"], abs=CLOSE)
        assert list(alone.values()) == sorted(alone.values(), reverse=True)


def test_a_cross_encoder(store: MemoryStore) -> None:
    upload(store, "relevance", task="text-classification", preprocess=TOKENIZER)
    for query, scores in FOUND["relevance"].items():
        body = {"model": "relevance", "query": query, "documents": TEXTS}
        results = call(inference.handler, "POST", "/v1/rerank", body).json["results"]
        assert [one["index"] for one in results] == np.argsort(-np.array(scores)).tolist()
        told = {one["index"]: one["relevance_score"] for one in results}
        assert told == pytest.approx(dict(enumerate(scores)), abs=CLOSE)


def test_zero_shot_classification_of_images(store: MemoryStore) -> None:
    upload(
        store,
        "clip",
        task="zero-shot-classification",
        labels=LABELS,
        preprocess={"kind": "image", "size": [SIDE, SIDE], "mean": MEAN, "std": STD},
        postprocess={"kind": "similarity", "template": TEMPLATES[0], "text": TOKENIZER},
    )
    images = []
    for pixels in FOUND["clip"]["pixels"]:
        body = io.BytesIO()
        Image.fromarray(np.array(pixels, np.uint8)).save(body, "PNG")
        images.append(base64.b64encode(body.getvalue()).decode())
    expected = [pytest.approx(dict(zip(LABELS, row, strict=True)), abs=CLOSE) for row in FOUND["clip"]["scores"]]
    assert predict("clip", images) == expected
    assert [predict("clip", [image])[0] for image in images] == expected
