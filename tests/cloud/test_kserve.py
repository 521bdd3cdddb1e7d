"""KServe's Python SDK, unmodified and in an environment of its own, against the running gateway."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from tests.cloud.conftest import ROOT, Cloud
from tests.support import ELEMENTS, identities, tiny_classifier

pytestmark = pytest.mark.cloud

PYTHON = ROOT / ".local" / "envs" / "kserve" / "bin" / "python"
LABELS = ["ant", "bee", "cat"]


@pytest.fixture(scope="module")
def said(cloud: Cloud) -> dict[str, Any]:
    """What the SDK heard, of a classifier of images and of a model with all datatypes."""
    described = {"task": "image-classification", "labels": LABELS}
    files = {"model.onnx": tiny_classifier(), "amaas.json": json.dumps(described).encode()}
    assert cloud.upload("kserve-images", files)["state"] == "registered"
    assert cloud.upload("kserve-tensors", {"model.onnx": identities()})["state"] == "registered"
    access = json.dumps({"url": cloud.access["api_url"], "token": cloud.access["token"]})
    script = str(ROOT / "tests" / "cloud" / "kserve_calls.py")
    done = subprocess.run([str(PYTHON), script], input=access, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def logits(said: dict[str, Any]) -> np.ndarray:
    """ONNX Runtime's own, of the file that was uploaded."""
    session = ort.InferenceSession(tiny_classifier(), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": np.float32(said["sent"]["image"])})[0]


def test_server_and_models(said: dict[str, Any]) -> None:
    assert said["state"] == {
        "live": True,
        "ready": True,
        "model": True,
        "version": True,
        "unknown": False,
        "nobody's": False,
    }


@pytest.mark.parametrize("form", ["json", "binary", "version", "dictionary"])
def test_answers_are_onnx_runtimes(said: dict[str, Any], logits: np.ndarray, form: str) -> None:
    answer = said["answers"][form]
    assert answer["model"] == "kserve-images"
    assert list(answer["outputs"]) == ["logits"]
    np.testing.assert_allclose(answer["outputs"]["logits"], logits, rtol=1e-6)


def test_ids_and_headers_come_back(said: dict[str, Any]) -> None:
    assert [said["answers"][form]["id"] for form in ("json", "binary")] == ["r-1", "r-2"]
    assert said["answers"]["headers"]["content-type"] == "application/json"
    assert said["answers"]["headers"]["x-amaas-version"] == "1"


@pytest.mark.parametrize("form", ["tensors in json", "tensors in binary"])
def test_every_datatype_to_the_bit(said: dict[str, Any], form: str) -> None:
    outputs = said["answers"][form]["outputs"]
    assert {name.removeprefix("y-") for name in outputs} == set(ELEMENTS)
    assert {name.replace("y-", "x-"): values for name, values in outputs.items()} == {
        name: values for name, values in said["sent"].items() if name != "image"
    }


def test_only_the_outputs_that_are_asked_for(said: dict[str, Any]) -> None:
    outputs = said["answers"]["some outputs"]["outputs"]
    assert outputs == {"y-int64": said["sent"]["x-int64"], "y-bytes": said["sent"]["x-bytes"]}


def test_classification(said: dict[str, Any], logits: np.ndarray) -> None:
    best = np.reshape(said["answers"]["classes"]["outputs"]["logits"], -1).tolist()
    assert [value.split(":")[2] for value in best] == [LABELS[index] for index in logits.argmax(1)]


@pytest.mark.parametrize("form", ["no rows in json", "no rows in binary"])
def test_no_rows(said: dict[str, Any], form: str) -> None:
    assert said["answers"][form]["outputs"] == {"logits": []}


@pytest.mark.parametrize(
    ("question", "message", "status"),
    [
        ("input", "no input 'picture'", "400 Bad Request"),
        ("input in binary", "no input 'picture'", "400 Bad Request"),
        ("output", "no output 'nothing'", "400 Bad Request"),
        ("model", "'nobody'", "404 Not Found"),
        ("route", "there is no route", "404 Not Found"),
        ("no token", "token", "401 Unauthorized"),
        ("bad token", "token", "401 Unauthorized"),
    ],
)
def test_errors_reach_the_user(said: dict[str, Any], question: str, message: str, status: str) -> None:
    heard = said["errors"][question]
    reason, _, rest = heard.removeprefix("HTTPStatusError: ").partition(", '")
    assert message in reason
    assert rest.startswith(status)


def test_many_calls_at_once(said: dict[str, Any], logits: np.ndarray) -> None:
    assert len(said["together"]) == 8
    for answer in said["together"]:
        np.testing.assert_allclose(answer["outputs"]["logits"], logits, rtol=1e-6)
