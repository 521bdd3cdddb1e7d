"""Images classified by labels that the model was never trained with, by a graph with a tower for each."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import pytest
from PIL import Image

from shared.errors import BadInput
from shared.package import processing
from shared.serving import tasks
from shared.serving.loaded import Loaded
from tests.serving import packages
from tests.serving.packages import loaded
from tests.serving.test_zero_shot import FILES, PLAN, softmax, told

PIXELS = processing.Image(size=[4, 4])
NEAR = processing.Similarity(text=PLAN)
LABELS = ["cat", "mat", "bob"]
RED, GREEN = (255, 0, 0), (0, 255, 0)


def png(color: tuple[int, int, int], size: int = 8) -> bytes:
    body = io.BytesIO()
    Image.new("RGB", (size, size), color).save(body, "PNG")
    return body.getvalue()


def model(graph: bytes | None = None, **described: Any) -> Loaded:
    plan = {"task": "zero-shot-classification", "preprocess": PIXELS, "postprocess": NEAR, "labels": LABELS}
    return loaded(graph or packages.towers(), files=FILES, **plan | described)


def ask(served: Loaded, images: list[bytes], **parameters: Any) -> list[dict[str, float]]:
    body = {"inputs": [base64.b64encode(image).decode() for image in images], "parameters": parameters}
    answer = tasks.predict(served, json.dumps(body).encode(), "application/json", {})
    return [told(one["predictions"]) for one in answer["results"]]


def test_an_image_is_told_by_the_sentence_that_is_nearest() -> None:
    answer = tasks.predict(model(), png(RED), "image/png", {})
    cat, mat, bob = softmax([4.0, 0.0, 0.0])
    assert told(answer["predictions"]) == pytest.approx({"cat": cat, "mat": mat, "bob": bob}, abs=1e-6)
    red, green = ask(model(), [png(RED), png(GREEN)])
    assert (next(iter(red)), next(iter(green))) == ("cat", "mat")
    assert red == told(answer["predictions"])


def test_labels_template_and_scores_of_a_call() -> None:
    each = {"cat": softmax([0, 4])[1], "paris": 0.5}
    assert ask(model(), [png(RED)], labels=["paris", "cat"], multi_label=True) == [pytest.approx(each, abs=1e-6)]
    [alone] = ask(model(), [png(RED)], labels=["paris"], template="cat {} cat")
    assert alone == pytest.approx({"paris": softmax([0, 8])[1]}, abs=1e-6)
    by_itself = processing.Similarity(text=PLAN, multi_label=True, template="{}")
    assert ask(model(postprocess=by_itself), [png(RED)])[0]["mat"] == 0.5


def test_many_images_are_what_each_is_alone() -> None:
    colors = [(number * 7 % 256, number * 31 % 256, number * 13 % 256) for number in range(70)]
    together = ask(model(), [png(color) for color in colors])
    one_by_one = model(packages.towers(images=1))
    for color, found in list(zip(colors, together, strict=True))[::9]:
        assert found == pytest.approx(ask(one_by_one, [png(color)])[0], abs=1e-6)
    several = ask(one_by_one, [png(color) for color in colors[:3]])
    assert several == [pytest.approx(one, abs=1e-6) for one in together[:3]]


def test_what_is_refused() -> None:
    for served, why in (
        (model(postprocess=None), 'how its labels become tokens: add "postprocess": {"kind": "similarity"'),
        (model(postprocess=processing.Entailment(entailment=0)), "how its labels become tokens"),
        (model(postprocess=processing.Similarity(text=processing.Text())), "names no tokenizer"),
        (model(postprocess=processing.Similarity(text=PLAN, output="text_embeds")), r"shape \[3, 3\] is no table of"),
        (model(packages.lookup(3)), "does not take one batch of images"),
        (model(labels=[]), "has no labels of its own"),
    ):
        with pytest.raises(BadInput, match=why):
            ask(served, [png(RED)])
    with pytest.raises(BadInput, match="no image"):
        ask(model(), [b"x"])
    of_texts = model(preprocess=PLAN)
    with pytest.raises(BadInput, match="which of its classes is entailment"):
        tasks.predict(of_texts, b"a cat", "text/plain", {})
