"""Images in, boxes out: label, score, and [left, top, right, bottom] in pixels of the image that was sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from shared import budget
from shared.errors import BadInput
from shared.package.processing import Boxes
from shared.serving.inputs import images
from shared.serving.inputs.images import Placement
from shared.serving.inputs.request import Options
from shared.serving.loaded import Loaded
from shared.serving.outputs import batching, classification
from shared.serving.tasks.base import Task
from shared.values.numbers import require_finite

BOX = 400  # bytes of four numbers in an answer, and in its JSON
# Boxes that are compared with each other, the best ones, as other detectors have it: each may be compared with all.
MOST_CANDIDATES = 30_000


class ObjectDetection(Task):
    def per_run(self, loaded: Loaded) -> int:
        return 1 if images.any_size(loaded) else batching.per_run(loaded)

    def answer(self, loaded: Loaded, items: list[bytes], options: Options) -> list[dict[str, Any]]:
        """`{"objects": [{"label", "score", "box"}, …]}` for each encoded image, best first."""
        return _answers(loaded, items, options)

    def classes(self, loaded: Loaded, outputs: Mapping[str, np.ndarray], rows: int) -> range | None:
        """The last class may mean nothing: it is never called by its name, and needs no label."""
        plan = _declared(loaded)
        if plan.classes:
            return None
        count = read_scores(outputs, plan, 0, loaded)[1].shape[1]
        return range(count - 1 if plan.background == count - 1 else count, count + 1)


def _declared(loaded: Loaded) -> Boxes:
    postprocess = loaded.manifest.postprocess
    return postprocess if isinstance(postprocess, Boxes) else Boxes()


def _answers(loaded: Loaded, items: list[bytes], options: Options) -> list[dict[str, Any]]:
    feeds, placements = images.feeds(loaded, items)
    view = _view(next(iter(feeds.values())), images.signature(loaded)[1].layout)
    outputs = batching.run(loaded, feeds)
    plan = _declared(loaded)
    threshold = plan.threshold if options.threshold is None else options.threshold
    answers = []
    for number, placement in enumerate(placements):
        with budget.part():
            budget.take(_largest(outputs) * classification.WIDE, "an image's boxes and scores")
            boxes, scores, classes = candidates(outputs, plan, number, threshold, loaded)
            corners = _to_image(_corners(boxes, plan, view), placement)
            best = suppress_overlaps(corners, scores, classes, plan.iou, options.top_k or plan.top_k)
            labels = [classification.label(loaded.manifest.labels, int(classes[i])) for i in best]
            room = sum(classification.ENTRY + BOX + 2 * len(label) for label in labels)
            budget.keep(room, f"an answer of {len(labels):,} boxes")
            answers.append({"objects": [_object(labels[n], scores[i], corners[i]) for n, i in enumerate(best)]})
    return answers


def _largest(outputs: Mapping[str, np.ndarray]) -> int:
    """Numbers that all outputs have of one image, at most: of some models they are all of one."""
    return sum(array.size // (len(array) if array.ndim == 3 and len(array) else 1) for array in outputs.values())


def _object(label: str, score: float, box: np.ndarray) -> dict[str, Any]:
    return {"label": label, "score": round(float(score), 6), "box": [round(float(value), 2) for value in box]}


def candidates(
    outputs: Mapping[str, np.ndarray], plan: Boxes, number: int, threshold: float, loaded: Loaded
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of one image: boxes [N, 4] as the model gives them, scores [N] of at least the threshold, and classes [N]."""
    raw, scores = read_scores(outputs, plan, number, loaded)
    # -inf is less than any threshold: so some detectors fill up their lists
    require_finite(np.where(np.isneginf(scores), 0.0, scores), "score", number)
    if plan.background is not None and scores.shape[1] > 1:
        scores[:, plan.background] = -1.0
    best = scores.argmax(axis=1)
    top = scores[np.arange(len(scores)), best]
    classes = _of_image(outputs, plan.classes, number).reshape(-1) if plan.classes else best
    chosen = top >= threshold
    require_finite(raw[chosen, :4], "box", number)
    require_finite(classes[chosen], "class", number)
    return raw[chosen, :4], top[chosen], classes[chosen].astype(np.int64)


def read_scores(
    outputs: Mapping[str, np.ndarray], plan: Boxes, number: int, loaded: Loaded
) -> tuple[np.ndarray, np.ndarray]:
    """Of one image: boxes [N, 4 or more] as the model gives them, and scores [N, classes]; [N, 1] of a single class."""
    name = plan.boxes or loaded.manifest.outputs[0].name
    raw = _of_image(outputs, name, number)
    raw = raw.T if plan.transposed else raw
    if raw.ndim != 2 or raw.shape[1] < 4:
        raise BadInput(
            f"output {name!r} has shape {list(outputs[name].shape)}, not four numbers per box: see postprocess"
        )
    if plan.scores is not None:
        scores = _of_image(outputs, plan.scores, number)
        return raw, classification.activate(scores, plan.activation) if scores.ndim == 2 else scores[:, None]
    start = 5 if plan.objectness else 4
    if raw.shape[1] < 5:
        raise BadInput(f"output {name!r} has no scores after its boxes: name the output with them in postprocess")
    if plan.objectness and raw.shape[1] == start:  # of a detector of one thing
        return raw, classification.activate(raw[:, 4:5], plan.activation)
    scores = classification.activate(raw[:, start:], plan.activation)
    return raw, scores * classification.activate(raw[:, 4:5], plan.activation) if plan.objectness else scores


def _of_image(outputs: Mapping[str, np.ndarray], name: str, number: int) -> np.ndarray:
    """What an output says of one image: its row, or all of it where a model takes one image and has no such axis."""
    if name not in outputs:
        raise BadInput(f"the package's postprocess names the output {name!r}, the model has {sorted(outputs)}")
    values = outputs[name]
    row = values[number] if values.ndim == 3 or (values.ndim == 2 and values.shape[0] == 1) else values
    return np.array(row, np.float64)


def _view(feed: np.ndarray, layout: str) -> tuple[int, int]:
    """Width and height of what the model sees."""
    height, width = feed.shape[2:4] if layout == "NCHW" else feed.shape[1:3]
    return width, height


def _corners(boxes: np.ndarray, plan: Boxes, view: tuple[int, int]) -> np.ndarray:
    """Boxes in any form as [left, top, right, bottom] in pixels of the model's view."""
    scaled = boxes * np.array([*view, *view]) if plan.units == "relative" else boxes
    first, second = scaled[:, :2], scaled[:, 2:]
    if plan.form == "cxcywh":
        return np.concatenate([first - second / 2, first + second / 2], axis=1)
    return np.concatenate([first, first + second], axis=1) if plan.form == "xywh" else scaled


def _to_image(corners: np.ndarray, placement: Placement) -> np.ndarray:
    """From the model's view to the image that was sent, within its borders."""
    scale, offset = np.array([*placement.scale, *placement.scale]), np.array([*placement.offset, *placement.offset])
    border = np.array([placement.width, placement.height] * 2)
    return np.asarray(np.clip((corners - offset) / scale, 0, border))


def suppress_overlaps(
    corners: np.ndarray, scores: np.ndarray, classes: np.ndarray, iou: float | None, limit: int
) -> list[int]:
    """Indices of the boxes that stay, best first; those that overlap a better one of their class more than iou go."""
    rest = np.argsort(-scores, kind="stable")[: limit if iou is None else MOST_CANDIDATES]
    if iou is None:
        return [int(index) for index in rest]
    areas = np.prod(np.maximum(corners[:, 2:] - corners[:, :2], 0), axis=1)
    chosen: list[int] = []
    while len(rest) and len(chosen) < limit:
        budget.check_time(f"{len(scores):,} boxes were compared")
        best, rest = rest[0], rest[1:]
        chosen.append(int(best))
        apart = overlap(corners[best], corners[rest], areas[best], areas[rest]) <= iou
        rest = rest[apart | (classes[rest] != classes[best])]
    return chosen


def overlap(box: np.ndarray, others: np.ndarray, area: float, areas: np.ndarray) -> np.ndarray:
    """Intersection over union of one box with others."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    common = np.prod(np.maximum(sides, 0), axis=1)
    return np.asarray(common / np.maximum(area + areas - common, 1e-12))


TASK = ObjectDetection()
