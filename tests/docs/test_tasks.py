"""The page of each task: its package passes the gate, and its call is answered in the shape that is shown."""

from __future__ import annotations

import io
import json
import re
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from PIL import Image

from functions.inference import app as inference
from shared.package.tasks import DECODED, TASKS
from shared.storage.memory import MemoryStore
from tests.functions.conftest import store
from tests.functions.test_flow import push
from tests.ingest.smoke_packages import any_size
from tests.serving import packages
from tests.support import call, linear

__all__ = ["store"]  # a fixture
PAGES = Path(__file__).resolve().parents[2] / "docs" / "tasks"
TOKENIZER = {"tokenizer.json": packages.tokenizer().to_str().encode()}
BLOCK = re.compile(r"```json\n(.*?)```", re.DOTALL)
BODY = re.compile(r"-d '(\{.*?\})' \"")
TEXT = re.compile(r"-d '([^{'][^']*)' \"")


def picture() -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8)).save(out, "JPEG")
    return out.getvalue()


def sound() -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes((np.sin(np.arange(4000)) * 16000).astype("<i2").tobytes())
    return out.getvalue()


def names() -> bytes:
    """A token classifier: `anna` begins a name, all else is none."""
    table = np.full((len(packages.VOCABULARY), 3), [5.0, 0.0, 0.0], np.float32)
    table[packages.VOCABULARY["anna"]] = [0.0, 9.0, 0.0]
    inputs = [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["N", "T"])]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", "T", 3])]
    node = helper.make_node("Gather", ["table", "input_ids"], ["logits"])
    return packages.proto([node], inputs, outputs, {"table": table})


BOXES = {"rows": np.array([[[16, 16, 16, 16, 0.9, 0.1, 0.1], [4, 4, 2, 2, 0.1, 0.1, 0.1]]], np.float32)}
# of each task: a model that fits its page, and what is sent to it where the page shows a file
MODELS: dict[str, tuple[bytes, dict[str, bytes], tuple[bytes, str] | None]] = {
    "image-classification": (any_size(), {}, (picture(), "image/jpeg")),
    "object-detection": (packages.constant(BOXES), {}, (picture(), "image/jpeg")),
    "text-classification": (packages.overlap([-1.0, 1.0]), TOKENIZER, None),
    "token-classification": (names(), TOKENIZER, None),
    "embedding": (packages.lookup(4), TOKENIZER, None),
    "zero-shot-classification": (packages.overlap([0.0, 1.0]), TOKENIZER, None),
    "audio-classification": (packages.loudness(4000), {}, (sound(), "audio/wav")),
    "tabular": (linear([[0.0, 1.0], [1.0, 1.0]]), {}, None),
    "tabular-regression": (linear([[1.0], [2.0]]), {}, None),
    "tensor": (linear([[1.0], [2.0]]), {}, None),
}


def shape(value: Any) -> Any:
    """Of an answer: the names of its members, and of what kind they are."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "number" if isinstance(value, int | float) else type(value).__name__


def calls(page: str) -> list[tuple[bytes, str]]:
    """The bodies that the page's calls send."""
    said = [(body.encode(), "application/json") for body in BODY.findall(page)]
    return [(text.encode(), "text/plain; charset=utf-8") for text in TEXT.findall(page)] + said


@pytest.mark.parametrize("task", MODELS)
def test_the_page_of_a_task_is_true(task: str, store: MemoryStore) -> None:
    page = (PAGES / f"{task}.md").read_text(encoding="utf-8")
    described, answer = BLOCK.findall(page)
    model, files, file = MODELS[task]
    package = {"model.onnx": model, "amaas.json": described.encode(), **files}
    state = push(store, "m", package)
    assert state["state"] == "registered", state
    sent = calls(page) + ([file] if file else [])
    assert sent, "the page shows no call"
    shapes = []
    for body, content_type in sent:
        reply = call(inference.handler, "POST", "/models/m/predict", body, headers={"content-type": content_type})
        assert reply.status == 200, reply.body
        shapes.append(shape({name: value for name, value in reply.json.items() if name != "answer_id"}))
    expected = shape(json.loads(answer))
    assert all(one == expected for one in shapes), (shapes, expected)


def test_labels_of_tensors_name_the_classes_of_the_protocol_s_extension(store: MemoryStore) -> None:
    package = {"model.onnx": linear([[0.0, 1.0]]), "amaas.json": b'{"task": "tensor", "labels": ["no", "yes"]}'}
    assert push(store, "m", package)["state"] == "registered"
    said = {"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [3]}
    asked = {"inputs": [said], "outputs": [{"name": "y", "parameters": {"classification": 1}}]}
    reply = call(inference.handler, "POST", "/v2/models/m/infer", json.dumps(asked).encode())
    assert reply.json["outputs"][0]["data"] == ["3.0:1:yes"]
    plain = call(inference.handler, "POST", "/models/m/predict", b'{"inputs": {"x": [[3]]}}')
    assert plain.json["outputs"] == {"y": [[0.0, 3.0]]}


def test_each_task_has_a_page() -> None:
    listed = (PAGES / "README.md").read_text(encoding="utf-8")
    for task in TASKS:
        if task in DECODED:
            assert f"| {task} |" in listed
        else:
            assert f"| [{task}]({task}.md) |" in listed and task in MODELS
