"""A first amaas.json for a model, of what its graph says and what its author answers. Nothing is guessed silently: each
suggestion is one that the author sees, and may change."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

from amaas.api.graph import Tensor
from amaas.errors import AmaasError

Json = dict[str, Any]
TASKS = (
    *("image-classification", "object-detection", "text-classification", "token-classification", "embedding"),
    *("audio-classification", "tabular", "tabular-regression", "tensor"),
)
CLASSES = ("image-classification", "object-detection", "text-classification", "token-classification")
LABELED = (*CLASSES, "audio-classification", "tabular")
TEXTS = ("text-classification", "token-classification")
PIXELS: dict[str, Json] = {
    "0..1": {},
    "-1..1": {"mean": [0.5], "std": [0.5]},
    "0..255": {"scale": 1.0},
    "imagenet": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
}
SIDE, RATE, TOKENS = 224, 16_000, 512
MOST_CATEGORIES = 1000
MOST_LINE = 10_000  # columns
MOST_NUMBERED = 100  # columns that get numbers for names: a wider vector is features, which no one types
MOST_SHOWN = 10  # names in a sentence


def task(inputs: list[Tensor], outputs: list[Tensor], *, are_columns_named: bool = False) -> str:
    """The likeliest task of a signature. are_columns_named: whether the author names the columns of a table."""
    scores = scores_of(outputs)
    if any(tensor.name == "input_ids" for tensor in inputs):
        return "text-classification" if scores else "embedding"
    if len(inputs) == 1 and len(inputs[0].shape) == 4 and channels(inputs[0]):
        return "image-classification" if scores else "tensor"
    is_table = bool(inputs) and all(len(tensor.shape) == 2 and tensor.shape[1] for tensor in inputs)
    if is_table and (are_columns_named or len(columns(inputs)) <= MOST_NUMBERED):
        width = outputs[0].shape[-1] if outputs and outputs[0].shape else None
        return "tabular" if scores and scores.shape[1] != 1 else "tabular-regression" if width == 1 else "tensor"
    return "tensor"


def scores_of(outputs: list[Tensor]) -> Tensor | None:
    """The output with a score per class; scikit-learn's come behind the label."""
    floats = [tensor for tensor in outputs if tensor.datatype.startswith("FP") and len(tensor.shape) == 2]
    return floats[0] if floats else None


def channels(image: Tensor) -> int | None:
    """1 or 3 of an image's tensor; None of another one."""
    return next((size for size in (image.shape[1], image.shape[3]) if size in (1, 3)), None)


def image(tensor: Tensor, size: tuple[int, int] | None, pixels: str) -> Json:
    """preprocess of images. size: height and width, where the graph leaves them open."""
    first = tensor.shape[1] in (1, 3)
    plan: Json = {"mode": "L"} if channels(tensor) == 1 else {}
    plan |= {"size": list(size)} if size else {}
    plan |= {} if first else {"layout": "NHWC"}
    return with_pixels(plan, pixels)


def with_pixels(plan: Json, pixels: str) -> Json:
    """preprocess with what pixels become, one of PIXELS. Raises AmaasError."""
    if pixels not in PIXELS:
        raise AmaasError(f"pixels become one of {', '.join(PIXELS)}, not {pixels!r:.60}")
    if plan.get("mode") == "L" and pixels == "imagenet":
        raise AmaasError("imagenet's colors are three, and the model takes one channel: choose other pixels")
    return {name: value for name, value in plan.items() if name not in ("scale", "mean", "std")} | PIXELS[pixels]


def has_open_size(tensor: Tensor) -> bool:
    return None in (tensor.shape[2:4] if tensor.shape[1] in (1, 3) else tensor.shape[1:3])


def columns(inputs: list[Tensor]) -> list[str]:
    """Names for a table's columns: the inputs', or numbers of the one vector."""
    if len(inputs) > 1:
        return [tensor.name for tensor in inputs]
    width = inputs[0].shape[1] if inputs and len(inputs[0].shape) == 2 else 1
    return [f"x{number}" for number in range(min(width or 1, MOST_LINE))]


def table(said: str, inputs: list[Tensor]) -> tuple[list[Json], list[str]]:
    """Columns of a CSV file with examples, or of names with commas; and names beyond those that the model takes.

    Raises AmaasError.
    """
    if _is_file(said):
        rows = _read(Path(said))
        described = [_column(name, values) for name, values in rows.items()]
    else:
        described = [{"name": name.strip()} for name in said.split(",") if name.strip()]
    count = len(columns(inputs))
    texts = {tensor.name for tensor in inputs if tensor.datatype == "BYTES"}
    for column in described:
        if column["name"] in texts or (len(inputs) == 1 and texts):
            column |= {"type": "text"}
            column.pop("categories", None)
    if len(described) < count:
        raise AmaasError(f"{said!r:.60} names {len(described)} columns, the model takes {count}")
    return described, [column["name"] for column in described] if len(described) > count else []


def listed(names: list[str]) -> str:
    """Names for a sentence, the first ones of many."""
    return ", ".join(names[:MOST_SHOWN]) + (f", … ({len(names)} in all)" if len(names) > MOST_SHOWN else "")


def _is_file(said: str) -> bool:
    return os.path.isfile(said)  # of what is too long for a name, pathlib raises


def _read(path: Path) -> dict[str, list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = [line for line in csv.reader(file) if line]
    if not lines:
        raise AmaasError(f"{path} is empty: its first line has to name the columns")
    header, *rows = lines
    return {name.strip(): [row[place] for row in rows if place < len(row)] for place, name in enumerate(header)}


def _column(name: str, values: list[str]) -> Json:
    known = [value for value in values if value.strip()]
    if all(_is_number(value) for value in known):
        return {"name": name}
    categories = sorted(set(known))
    if len(categories) > MOST_CATEGORIES:
        return {"name": name, "type": "text"}
    return {"name": name, "type": "category", "categories": categories}


def _is_number(text: str) -> bool:
    try:
        return float(text) == float(text)
    except ValueError:
        return False


def labels(said: str, count: int | None) -> list[str]:
    """Of a file with one on each line, or of labels with commas. Raises AmaasError where they are not `count`."""
    text = Path(said).read_text(encoding="utf-8-sig") if _is_file(said) else said.replace(",", "\n")
    names = [line.strip() for line in text.splitlines() if line.strip()]
    if count is not None and len(names) != count:
        raise AmaasError(f"{said!r:.60} has {len(names)} labels, and the model's output {count} scores")
    return names
