"""Plain features of inputs: what training writes into a package's `reference`, and serving counts of later calls.

One definition for both: training/kinds computes its features here. Serving counts them after the answer, in the
reference's bins; no value is kept. Of images they are computed from the tensor that the model was fed, from which the
pixels follow exactly; of others from the items that the call had, Loaded.items.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from shared.counts import bins
from shared.counts.counts import Counts
from shared.package import processing

if TYPE_CHECKING:
    from shared.serving.loaded import Loaded
    from shared.serving.observe import Call

Features = dict[str, np.ndarray]
PARSED = "edges of the reference"  # of a loaded model's parts, which have no spaces
MOST_ITEMS = 32  # of a call
MOST_NUMBERS = 2_000_000  # of a call's tensors, that are looked at: they take 25 times their number in bytes
MOST_FEATURES, MOST_EDGES = 64, 201
SILENT = 1e-5  # the level below which a sound counts as silent: -100 dB


def of_pixels(pixels: np.ndarray) -> Features:
    """Of images [N, ...] with values from 0 to 255: their mean, and their spread, both as shares of the largest."""
    flat = pixels.reshape(len(pixels), -1)
    return {"brightness": flat.mean(1) / 255, "contrast": flat.std(1) / 127.5}


def of_texts(texts: Sequence[Any]) -> Features:
    return {"characters": np.array([len(str(text)) for text in texts], np.float64)}


def of_sounds(sounds: Sequence[np.ndarray], rate: int) -> Features:
    """Of samples in -1..1 at `rate` (Hz): the level of the root mean square in dB, and the length."""
    levels = [20 * math.log10(max(math.sqrt(_power(one)), SILENT)) for one in sounds]
    return {"loudness_db": np.array(levels), "seconds": np.array([len(one) / rate for one in sounds])}


def _power(samples: np.ndarray) -> float:
    """The mean square, in parts: there may be 30 million."""
    parts = [samples[start : start + MOST_NUMBERS] for start in range(0, len(samples), MOST_NUMBERS)]
    return sum(float(np.mean(np.square(part))) * len(part) for part in parts) / max(len(samples), 1)


def of_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Features:
    """Of rows of a table: their numbers; NaN where there is none."""
    return {name: np.array([_number(row.get(name)) for row in rows], np.float64) for name in columns}


def _number(value: Any) -> float:
    try:
        return math.nan if value is None or value == "" else float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def count(counts: Counts, call: Call) -> None:
    """Count the features of a call's inputs, where its version has a reference. counts: of this call alone."""
    loaded = call.loaded
    edges = _edges(loaded)
    compute = OF_KIND.get(loaded.manifest.input_kind or "")
    if not edges or compute is None:
        return
    features = {name: values for name, values in compute(call, list(edges)).items() if name in edges}
    counts.items += max((len(values) for values in features.values()), default=0)
    for name, values in features.items():
        histogram = counts.features.setdefault(name, {})
        for value in values.tolist():
            number = bins.place(value, edges[name])
            histogram[number] = histogram.get(number, 0) + 1
    if counts.items:
        counts.placed, counts.out_of_range = 1, int(_is_outside(counts, edges))


def _is_outside(counts: Counts, edges: Mapping[str, Sequence[float]]) -> bool:
    """Whether any item of a call is below or above a feature's bins.

    By calls, as versions are drawn for them: the items of one call are no events of their own.
    """
    return any(histogram.keys() & {0, len(edges[name])} for name, histogram in counts.features.items())


def _edges(loaded: Loaded) -> dict[str, list[float]]:
    """The edges of the reference's bins by feature: of what a package says, what can be used."""
    known: dict[str, list[float]] | None = loaded.parts.get(PARSED)
    if known is None:
        described = (loaded.manifest.reference or {}).get("features")
        described = described if isinstance(described, dict) else {}
        known = {name: one["edges"] for name, one in list(described.items())[:MOST_FEATURES] if _usable(one)}
        loaded.parts[PARSED] = known
    return known


def _usable(histogram: Any) -> bool:
    edges = histogram.get("edges") if isinstance(histogram, dict) else None
    return (
        isinstance(edges, list)
        and 2 <= len(edges) <= MOST_EDGES
        and all(isinstance(edge, (int, float)) and math.isfinite(edge) for edge in edges)
        and all(low <= high for low, high in pairwise(edges))
    )


def _of_images(call: Call, names: list[str]) -> Features:
    """pixel = (value * std + mean) / scale, rounded: what the tensor was made of, to the last pixel."""
    del names
    plan = call.loaded.manifest.preprocess
    if not isinstance(plan, processing.Image) or len(call.inputs) != 1 or not plan.scale:
        return {}
    [tensor] = call.inputs.values()
    if tensor.ndim != 4 or tensor.dtype.kind not in "fu":
        return {}
    values = tensor[: min(MOST_ITEMS, MOST_NUMBERS // max(tensor[:1].size, 1))]
    if not len(values):  # none, or larger than any that a reference is made of
        return {}
    if values.dtype != np.uint8:
        shape = (1, -1, 1, 1) if plan.layout == "NCHW" else (1, 1, 1, -1)
        mean, std = (np.array(part, np.float32).reshape(shape) for part in (plan.mean, plan.std))
        values = (values.astype(np.float32) * std + mean) / np.float32(plan.scale)
    with np.errstate(invalid="ignore"):  # a caller's own tensor may hold anything
        return of_pixels(np.rint(values.astype(np.float64)))


def _of_texts(call: Call, names: list[str]) -> Features:
    texts = [item for item in _items(call) if isinstance(item, str)]
    return of_texts(texts) if texts else {}


def _of_sounds(call: Call, names: list[str]) -> Features:
    plan = call.loaded.manifest.preprocess
    rate = plan.sample_rate if isinstance(plan, processing.Audio) else processing.Audio().sample_rate
    sounds = [item for item in _items(call) if isinstance(item, np.ndarray)]
    return of_sounds(sounds, rate) if sounds else {}


def _of_rows(call: Call, names: list[str]) -> Features:
    rows = [item for item in _items(call) if isinstance(item, dict)]
    return of_rows(rows, names) if rows else {}


def _items(call: Call) -> list[Any]:
    return (call.loaded.items or [])[:MOST_ITEMS]


OF_KIND: dict[str, Callable[[Call, list[str]], Features]] = {
    "image": _of_images,
    "text": _of_texts,
    "audio": _of_sounds,
    "table": _of_rows,
}
