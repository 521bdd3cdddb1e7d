"""Boxes: the outputs that detectors have, back in the pixels of the image that was sent; overlapping ones are one."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from shared.errors import BadInput
from shared.package import processing
from shared.package.processing import Boxes
from shared.serving import tasks
from shared.serving.tasks import object_detection as task
from tests.serving import packages

LABELS = ["cat", "dog"]


def picture(width: int = 64, height: int = 32) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height)).save(buffer, "PNG")
    return buffer.getvalue()


def detect(outputs: dict[str, np.ndarray], image: bytes | None = None, resize: str = "stretch", **plan) -> list[dict]:
    model = packages.loaded(
        packages.constant(outputs),
        task="object-detection",
        labels=LABELS,
        preprocess=processing.Image(resize=resize),  # type: ignore[arg-type]
        postprocess=Boxes(**plan),
    )
    objects: list[dict] = tasks.predict(model, image or picture(), "image/png", {})["objects"]
    return objects


# the same two things in the 32 × 32 view: a cat from (4, 4) to (12, 20), a dog from (16, 8) to (32, 24)
YOLO5 = np.array([[[8, 12, 8, 16, 0.9, 1.0, 0.1], [24, 16, 16, 16, 0.8, 0.2, 0.9]]], np.float32)
YOLO8 = np.array([[[8, 12, 8, 16, 0.9, 0.1], [24, 16, 16, 16, 0.2, 0.72]]], np.float32).transpose(0, 2, 1)
CORNERS = np.array([[[4, 4, 12, 20], [16, 8, 32, 24]]], np.float32)
RELATIVE = np.array([[[8, 12, 8, 16], [24, 16, 16, 16]]], np.float32) / 32
LOGITS = np.array([[[3.0, 0.0, 0.0], [0.0, 2.0, 0.0]]], np.float32)
STRETCHED = [("cat", [8.0, 4.0, 24.0, 20.0]), ("dog", [32.0, 8.0, 64.0, 24.0])]


@pytest.mark.parametrize(
    ("outputs", "plan"),
    [
        ({"out": YOLO5}, {"form": "cxcywh", "objectness": True}),
        ({"out": np.ascontiguousarray(YOLO8)}, {"form": "cxcywh", "transposed": True}),
        (
            {"b": CORNERS[0], "s": np.array([0.9, 0.8], np.float32), "c": np.array([0, 1], np.int64)},
            {"boxes": "b", "scores": "s", "classes": "c"},
        ),
        (
            {"logits": LOGITS, "boxes": RELATIVE},
            {
                "boxes": "boxes",
                "scores": "logits",
                "form": "cxcywh",
                "units": "relative",
                "activation": "softmax",
                "background": 2,
            },
        ),
    ],
    ids=["yolo with objectness", "yolo transposed", "boxes, scores, classes", "set prediction with background"],
)
def test_the_outputs_of_detectors(outputs: dict[str, np.ndarray], plan: dict) -> None:
    objects = detect(outputs, **plan)
    assert [(o["label"], o["box"]) for o in objects] == STRETCHED
    assert all(0.5 < o["score"] <= 1 for o in objects)


def test_boxes_are_in_the_pixels_of_the_image_that_was_sent() -> None:
    outputs = {"b": CORNERS[0], "s": np.array([0.9, 0.8], np.float32), "c": np.array([0, 1], np.int64)}
    plan = {"boxes": "b", "scores": "s", "classes": "c"}
    # 64 × 32 fits into 32 × 32 as 32 × 16: with `corner` from the top, with `pad` 8 pixels lower
    assert detect(outputs, resize="corner", **plan)[0]["box"] == [8.0, 8.0, 24.0, 32.0]
    assert detect(outputs, resize="pad", **plan)[0]["box"] == [8.0, 0.0, 24.0, 24.0]
    # and with `crop`, of its middle half nothing is scaled
    assert detect(outputs, resize="crop", **plan)[0]["box"] == [20.0, 4.0, 28.0, 20.0]


def test_threshold_and_top_k() -> None:
    plan = {"form": "cxcywh", "objectness": True}
    assert [o["label"] for o in detect({"out": YOLO5}, threshold=0.8, **plan)] == ["cat"]
    assert [o["label"] for o in detect({"out": YOLO5}, top_k=1, **plan)] == ["cat"]
    assert detect({"out": YOLO5}, threshold=1.0, **plan) == []


def reference(boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray, iou: float) -> list[int]:
    """The textbook's: of all that remain take the best, drop those of its class that overlap it more than iou."""
    remaining, chosen = list(range(len(boxes))), []
    while remaining:
        best = max(remaining, key=lambda i: scores[i])
        chosen.append(best)
        remaining = [
            i for i in remaining if i != best and (classes[i] != classes[best] or share(boxes[i], boxes[best]) <= iou)
        ]
    return chosen


def share(a: np.ndarray, b: np.ndarray) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(width, 0) * max(height, 0)
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


@pytest.mark.parametrize("seed", range(5))
def test_overlapping_boxes_of_a_class_are_one(seed: int) -> None:
    random = np.random.default_rng(seed)
    corner = random.uniform(0, 80, (60, 2))
    boxes = np.concatenate([corner, corner + random.uniform(5, 40, (60, 2))], axis=1)
    scores, classes = random.permutation(60) / 60, random.integers(0, 3, 60)
    indices = task.suppress_overlaps(boxes, scores, classes, 0.4, 100)
    assert indices == reference(boxes, scores, classes, 0.4)
    assert len(indices) < 60
    assert len(task.suppress_overlaps(boxes, scores, classes, None, 100)) == 60


def test_what_cannot_be_read() -> None:
    with pytest.raises(BadInput, match="four numbers per box"):
        detect({"out": np.zeros((1, 5, 3), np.float32)})
    with pytest.raises(BadInput, match="names the output 'none'"):
        detect({"out": CORNERS}, boxes="none")
