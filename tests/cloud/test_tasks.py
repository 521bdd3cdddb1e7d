"""Tasks through the running gateway: what a developer sends with clients that know nothing of us."""

from __future__ import annotations

import base64
import gzip
import io
import json
import zlib
from pathlib import Path

import numpy as np
import openai
import pytest
import soundfile
from PIL import Image

from tests.cloud.conftest import ROOT, Cloud
from tests.serving import packages
from tests.support import linear

pytestmark = pytest.mark.cloud


@pytest.fixture(scope="module")
def embedder(cloud: Cloud) -> Cloud:
    described = {"task": "embedding", "preprocess": {"tokenizer": "tokenizer.json"}}
    files = {"model.onnx": packages.lookup(4), "tokenizer.json": packages.tokenizer().to_str().encode()}
    state = cloud.upload("words", files | {"amaas.json": json.dumps(described).encode()})
    assert state["state"] == "registered", state
    return cloud


def test_openais_client_gets_embeddings(embedder: Cloud) -> None:
    """As it is installed: it asks for base64 unless told otherwise, and takes the token for its API key."""
    client = openai.OpenAI(base_url=f"{embedder.access['api_url']}/v1", api_key=embedder.access["token"])
    answer = client.embeddings.create(model="words", input=["the cat", "anna"])
    ids = [packages.VOCABULARY[word] for word in ("[CLS]", "the", "cat", "[SEP]")]
    mean = packages.table(0, 4)[ids].mean(0)
    assert answer.data[0].embedding == pytest.approx(mean / np.linalg.norm(mean), abs=1e-6)
    assert answer.usage.total_tokens == 7
    plain = client.embeddings.create(model="words@production", input="the cat", encoding_format="float", dimensions=2)
    assert plain.data[0].embedding == pytest.approx(mean[:2] / np.linalg.norm(mean[:2]), abs=1e-6)
    with pytest.raises(openai.NotFoundError) as missing:
        client.embeddings.create(model="nobody", input="a")
    assert "nobody" in missing.value.message and missing.value.type == "not_found_error"


def test_text_as_it_is(embedder: Cloud) -> None:
    answer = embedder.api.post("/models/words/predict", content="the cat", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 200, answer.text
    assert np.linalg.norm(answer.json()["embedding"]) == pytest.approx(1, abs=1e-6)


def test_rows_as_csv(cloud: Cloud) -> None:
    described = {"task": "tabular", "preprocess": {"columns": [{"name": "a"}, {"name": "b", "missing": 1}]}}
    files = {"model.onnx": linear([[1.0], [10.0]]), "amaas.json": json.dumps(described).encode()}
    assert cloud.upload("rows", files)["state"] == "registered"
    answer = cloud.api.post("/models/rows/predict", content="b,a\n2,1\n,5\n", headers={"Content-Type": "text/csv"})
    assert answer.json()["results"] == [{"value": 21.0}, {"value": 15.0}]


def test_sound(cloud: Cloud) -> None:
    described = {
        "task": "audio-classification",
        "labels": ["loud", "quiet"],
        "preprocess": {"seconds": 0.5, "hop": 0.5},
        "postprocess": {"activation": "none", "top_k": 1},
    }
    files = {"model.onnx": packages.loudness(8000), "amaas.json": json.dumps(described).encode()}
    state = cloud.upload("loudness", files)
    assert state["state"] == "registered", state
    buffer = io.BytesIO()
    soundfile.write(buffer, np.concatenate([np.zeros(8000), np.full(8000, 0.5)]), 16_000, format="FLAC")
    answer = cloud.api.post(
        "/models/loudness/predict", content=buffer.getvalue(), headers={"Content-Type": "audio/flac"}
    )
    assert answer.status_code == 200, answer.text
    assert [s["predictions"][0]["label"] for s in answer.json()["segments"]] == ["quiet", "loud"]


def test_many_images(cloud: Cloud) -> None:
    paths = sorted(Path(ROOT / "examples" / "images").glob("fashion-*.png"))
    inputs = [base64.b64encode(path.read_bytes()).decode() for path in paths]
    answer = cloud.api.post("/models/fashion-mnist/predict?top_k=1", json={"inputs": inputs})
    assert answer.status_code == 200, answer.text
    found = [result["predictions"][0]["label"].lower().replace("/", "-") for result in answer.json()["results"]]
    right = sum(label.replace(" ", "-") in path.stem for label, path in zip(found, paths, strict=True))
    assert right >= len(paths) - 1, list(zip(found, paths, strict=True))


def test_reasons_as_numbers_and_as_a_picture(cloud: Cloud) -> None:
    body = next((ROOT / "examples" / "images").glob("*ankle-boot.png")).read_bytes()
    headers = {"Content-Type": "image/png"}
    told = cloud.api.post("/models/fashion-mnist/explain", content=body, headers=headers | {"Accept": "*/*"}).json()
    assert (told["label"], told["method"], len(told["attributions"])) == ("Ankle boot", "occlusion", 14)
    url = "/models/fashion-mnist/versions/1/explain"
    picture = cloud.api.post(url, content=body, headers=headers | {"Accept": "image/png"})
    assert picture.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(picture.content)).size == (252, 252)
    wrong = cloud.api.post(url, content=body, headers=headers, params={"label": "Sofa"})
    assert (wrong.status_code, "Sofa" in wrong.json()["error"]) == (400, True)


def test_small_bodies_that_would_become_large(cloud: Cloud) -> None:
    """Each is refused in the service's own form, and the function goes on."""
    small = io.BytesIO()
    Image.new("1", (60_000, 1)).save(small, "PNG")
    bomb = small.getvalue()[:20] + (20_000).to_bytes(4, "big") + small.getvalue()[24:]
    header = bomb[12:29]
    bomb = bomb[:29] + zlib.crc32(header).to_bytes(4, "big") + bomb[33:]
    for body, kind, status in (
        (bomb, "image/png", 413),
        (b'{"inputs": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "application/json", 400),
        (b'{"inputs": [' + b"9" * 100_000 + b"]}", "application/json", 400),
        (gzip.compress(bytes(5_000_000)), "image/png", 413),
    ):
        headers = {"Content-Type": kind} | ({"Content-Encoding": "gzip"} if body[:2] == b"\x1f\x8b" else {})
        answer = cloud.api.post("/models/fashion-mnist/predict", content=body, headers=headers)
        assert (answer.status_code, list(answer.json())) == (status, ["error", "code", "request_id"]), answer.text
    image = next((ROOT / "examples" / "images").glob("*.png")).read_bytes()
    answer = cloud.api.post("/models/fashion-mnist/predict", content=image, headers={"Content-Type": "image/png"})
    assert answer.status_code == 200


def test_a_package_that_could_answer_nobody_is_refused(cloud: Cloud) -> None:
    described = {"task": "embedding", "preprocess": {"tokenizer": "tokenizer.json"}}
    files = {"model.onnx": packages.lookup(4), "amaas.json": json.dumps(described).encode(), "tokenizer.json": b"{}"}
    ended = cloud.upload("broken-words", files)
    assert (ended["state"], ended["code"]) == ("rejected", "bad_tokenizer")
    assert "tokenizer.json is no tokenizer" in ended["reason"]
