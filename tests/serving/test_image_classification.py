"""Images in, labels out: decoding, pre-processing against plain numpy, and what is refused."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from shared.errors import AmaasError, BadInput, TooLarge, Unsupported
from shared.package.manifest import Manifest, Tensor
from shared.package.processing import Image as Plan
from shared.package.processing import Scores
from shared.registry.state import Version
from shared.runtime import onnx
from shared.serving import tasks
from shared.serving.inputs import images
from shared.serving.loaded import Loaded
from tests.support import tiny_classifier

GRAY = Tensor("image", "FP32", [-1, 1, 4, 4])


def loaded(**changes) -> Loaded:
    described = Manifest(
        **(
            {
                "task": "image-classification",
                "inputs": [GRAY],
                "outputs": [Tensor("logits", "FP32", [-1, 3])],
                "labels": ["a", "b", "c"],
                "preprocess": Plan(mode="L"),
                "postprocess": Scores(top_k=2),
            }
            | changes
        )
    )
    version = Version(version=7, task="", manifest="", source="", model="", size=0, upload="")
    return Loaded("m", version, 1, described, onnx.load(tiny_classifier()))


def encoded(pixels: np.ndarray, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


PIXELS = np.arange(16, dtype=np.uint8).reshape(4, 4) * 10


def test_labels_best_first_with_scores_that_are_probabilities() -> None:
    answer = tasks.predict(loaded(), encoded(PIXELS), "image/png", {})
    logits = np.array([sum(v for i, v in enumerate(PIXELS.reshape(-1) / 255) if i % 3 == k) for k in range(3)])
    scores = np.exp(logits) / np.exp(logits).sum()
    order = np.argsort(-scores)
    assert (answer["model"], answer["version"]) == ("m", 7)
    assert [p["label"] for p in answer["predictions"]] == ["abc"[i] for i in order[:2]]
    assert [p["score"] for p in answer["predictions"]] == pytest.approx(scores[order[:2]], abs=1e-5)


def test_top_k_can_be_asked_for() -> None:
    assert len(tasks.predict(loaded(), encoded(PIXELS), "image/png", {"top_k": "3"})["predictions"]) == 3
    assert len(tasks.predict(loaded(), encoded(PIXELS), "", {"top_k": "1"})["predictions"]) == 1
    for bad in ("0", "x", "-1", "99999999999"):
        with pytest.raises(BadInput, match="top_k"):
            tasks.predict(loaded(), encoded(PIXELS), "image/png", {"top_k": bad})


def test_without_labels_the_index_is_the_label() -> None:
    answer = tasks.predict(loaded(labels=[]), encoded(PIXELS), "image/png", {"top_k": "1"})
    assert answer["predictions"][0]["label"] in {"0", "1", "2"}


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "WEBP"])
def test_formats(kind: str) -> None:
    assert tasks.predict(loaded(), encoded(PIXELS, kind), "image/jpeg", {})["predictions"]


@pytest.mark.parametrize("body", [b"", b"hello", b"\x89PNG\r\n\x1a\n", encoded(PIXELS)[:40], b"GIF89a" + b"\0" * 30])
def test_what_is_no_image(body: bytes) -> None:
    with pytest.raises(BadInput, match=r"image|empty"):
        tasks.predict(loaded(), body, "image/png", {})


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    huge = encoded(np.zeros((1, 1), np.uint8))
    bomb = huge[:16] + (60000).to_bytes(4, "big") + (60000).to_bytes(4, "big") + huge[24:]
    with pytest.raises(AmaasError):
        tasks.predict(loaded(), bomb, "image/png", {})
    with pytest.raises(TooLarge, match="8000x8000"):
        images.decode(encoded(np.zeros((8000, 8000), np.uint8)), "L")


def test_other_content_and_other_models() -> None:
    with pytest.raises(Unsupported):
        tasks.predict(loaded(), b"{}", "text/plain", {})
    with pytest.raises(AmaasError, match="infer"):
        tasks.predict(loaded(task="text-to-image"), b"", "text/plain", {})


def test_many_images_in_one_call() -> None:
    bodies = [encoded(PIXELS), encoded(PIXELS[::-1]), encoded(PIXELS.T)]
    single = [tasks.predict(loaded(), body, "image/png", {})["predictions"] for body in bodies]
    texts = [base64.b64encode(body).decode() for body in bodies]
    for inputs in (texts, [{"b64": text} for text in texts], [f"data:image/png;base64,{text}" for text in texts]):
        answer = tasks.predict(loaded(), json.dumps({"inputs": inputs}).encode(), "application/json", {})
        assert [result["predictions"] for result in answer["results"]] == single
    for wrong in (["*"], [3], [{"url": "x"}]):
        with pytest.raises(BadInput, match="input 0"):
            tasks.predict(loaded(), json.dumps({"inputs": wrong}).encode(), "application/json", {})


def test_other_models() -> None:
    with pytest.raises(BadInput, match="images"):
        tasks.predict(loaded(inputs=[Tensor("x", "FP32", [-1, 4])]), encoded(PIXELS), "image/png", {})


def test_tensor_task_takes_plain_json() -> None:
    plain = loaded(task="tensor")
    answer = tasks.predict(plain, b'{"inputs": {"image": [[[[1,0,0,0],[0,0,0,0],[0,0,0,0],[0,0,0,0]]]]}}', "", {})
    assert answer["outputs"] == {"logits": [[1.0, 0.0, 0.0]]}
    for bad in (b"{", b'{"inputs": {}}', b'{"inputs": {"image": [[1]]}}', b'{"inputs": {"image": [["a"]]}}'):
        with pytest.raises(BadInput):
            tasks.predict(plain, bad, "application/json", {})


def test_base64_may_be_in_lines_or_in_the_alphabet_for_urls() -> None:
    body = next(made for seed in range(99) if b"-" in base64.urlsafe_b64encode(made := encoded(PIXELS + seed)))
    want = tasks.predict(loaded(), body, "image/png", {})
    for text in (
        base64.encodebytes(body).decode(),
        base64.encodebytes(body).decode().replace("\n", "\r\n"),
        base64.urlsafe_b64encode(body).decode(),
        f" {base64.b64encode(body).decode()}\n",
        f"DATA:image/png;base64,{base64.b64encode(body).decode()}",
    ):
        assert tasks.predict(loaded(), json.dumps({"input": text}).encode(), "application/json", {}) == want


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"input": "abc*"}, r"input 0 is not base64 \(.*\): encode all bytes of the file, padding included"),
        ({"input": "abc"}, "padding included"),
        ({"input": "data:image/png,abcd"}, "a data URL that is not base64: write it as data:…;base64,…"),
        ({"input": "https://example.org/a.png"}, "an address, from which nothing is fetched: send the file itself"),
        ({"inputs": [[1, 2]]}, 'input 0 must be a file in base64, as text or {"b64": …}, not list'),
        ({"input": "abcd", "inputs": ["abcd"]}, '"input" and "inputs", of which one would be left out'),
    ],
)
def test_what_is_no_file_in_base64_is_told_what_to_do(given: dict[str, object], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        tasks.predict(loaded(), json.dumps(given).encode(), "application/json", {})
