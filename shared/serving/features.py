"""Plain features of inputs: what training writes into a package's `reference`, and serving counts of later calls.

One definition for both: training/kinds computes its features here. Serving counts them after the answer, in the
reference's bins; no value is kept. Of images they are computed from the tensor that the model was fed, from which the
pixels follow exactly, and from their sizes before; of others from the items that the call had, Loaded.items.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from shared.counts import bins
from shared.counts.counts import Counts
from shared.package import processing
from shared.package.table import Table
from shared.values import cells

if TYPE_CHECKING:
    from shared.serving.loaded import Loaded
    from shared.serving.observe import Call

Features = dict[str, np.ndarray]
Categories = dict[str, list[str | None]]
Computed = np.ndarray | list[str | None]  # of each item
Bins = list[float] | dict[str, int]  # edges, or the numbers of names
# of a loaded model's parts, which have no spaces
PARSED, NAMED = "bins of the reference", "names of the reference"
MOST_ITEMS = 32  # of a call
MOST_NUMBERS = 2_000_000  # of a call's tensors, that are looked at: they take 25 times their number in bytes
MOST_FEATURES, MOST_EDGES = 64, 201
UNKNOWN_TOKENS, SCRIPT, SIDE = "unknown_tokens", "script", "side"
SILENT = 1e-5  # the level below which a sound counts as silent: -100 dB


def of_pixels(pixels: np.ndarray) -> Features:
    """Of images [N, height, width, channels] with values from 0 to 255, all as shares of the largest possible one.

    brightness: the mean. contrast: the spread. sharpness: the mean difference of neighbors, which noise raises and blur
    lowers. upright: how much of it is between neighbors in a column, from 0 to 1; rotation changes that. saturation:
    the mean difference of a pixel's colors, where there are three.
    """
    flat = pixels.reshape(len(pixels), -1)
    features = {"brightness": flat.mean(1) / 255, "contrast": flat.std(1) / 127.5}
    down, right = (_roughness(pixels, axis) for axis in (1, 2))
    total = down + right
    features["sharpness"] = total / 510
    features["upright"] = np.divide(down, total, out=np.full(len(pixels), 0.5), where=total > 0)
    if pixels.shape[3] == 3:
        colors = pixels.max(3).astype(np.float64) - pixels.min(3)
        features["saturation"] = colors.reshape(len(pixels), -1).mean(1) / 255
    return features


def _roughness(pixels: np.ndarray, axis: int) -> np.ndarray:
    """The mean absolute difference of neighbors along an axis, by image; 0 where there is one pixel only."""
    steps = np.abs(np.diff(pixels.astype(np.float32), axis=axis)).reshape(len(pixels), -1)
    return steps.mean(1, dtype=np.float64) if steps.shape[1] else np.zeros(len(pixels))


def of_sizes(sizes: Sequence[tuple[int, int]]) -> Features:
    """Of images (width, height) as they came: the side in pixels of a square as large, and how wide they are for that,
    from 0 to 1: 0.5 is square.
    """
    widths, heights = np.array(sizes, np.float64).reshape(-1, 2).T
    return {SIDE: np.sqrt(widths * heights), "width_share": widths / (widths + heights)}


def of_texts(texts: Sequence[Any]) -> Features:
    return {"characters": np.array([len(str(text)) for text in texts], np.float64)}


def of_scripts(texts: Sequence[Any]) -> Categories:
    from shared.serving import scripts

    return {SCRIPT: [scripts.script(str(text)) for text in texts]}


def of_tokens(ids: np.ndarray, mask: np.ndarray, unknown: int) -> Features:
    """Of token ids [N, T]: the share of those that the vocabulary has no word for. mask: 0 for padding."""
    present = mask != 0
    return {UNKNOWN_TOKENS: ((ids == unknown) & present).sum(1) / np.maximum(present.sum(1), 1)}


def of_sounds(sounds: Sequence[np.ndarray], rate: int) -> Features:
    """Of samples in -1..1 at `rate` (Hz): the level of the root mean square in dB, the length, and how often a second
    the sign changes, which is high for hiss and low for hum.
    """
    levels = [20 * math.log10(max(math.sqrt(_power(one)), SILENT)) for one in sounds]
    crossings = [
        np.count_nonzero(np.signbit(one[1:]) != np.signbit(one[:-1])) * rate / max(len(one), 1) for one in sounds
    ]
    return {
        "loudness_db": np.array(levels),
        "seconds": np.array([len(one) / rate for one in sounds]),
        "zero_crossings": np.array(crossings, np.float64),
    }


def _power(samples: np.ndarray) -> float:
    """The mean square, in parts: there may be 30 million."""
    parts = [samples[start : start + MOST_NUMBERS] for start in range(0, len(samples), MOST_NUMBERS)]
    return sum(float(np.mean(np.square(part))) * len(part) for part in parts) / max(len(samples), 1)


def of_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Features:
    """Of rows of a table: their numbers; NaN where there is none."""
    return {name: np.array([_number(row.get(name)) for row in rows], np.float64) for name in columns}


class Names:
    """The names of a column's categories, however a row spells them: 2, 2.0 and the text "2" are the category 2."""

    def __init__(self, categories: Sequence[Any], stored: Collection[str] = ()) -> None:
        """stored: names as a reference has them: packages of before, and by other hands, may write 2.0 for 2."""
        self._codes = cells.Categories(categories)
        spelled = ([name for name in cells.spellings(one) if name in stored] for one in categories)
        self.all = [names[0] if names else cells.text(one) for names, one in zip(spelled, categories, strict=True)]

    def of(self, value: Any) -> str:
        """Of what is no category, its own text."""
        code = self._codes.code(value) if isinstance(value, str | int | float) else None
        return str(value) if code is None else self.all[code]


def of_categories(
    rows: Sequence[Mapping[str, Any]], columns: Mapping[str, Names], gaps: Collection[str] = ()
) -> Categories:
    """Of rows of a table: the names of values, None where there is none. gaps: words, as the package declares them."""
    found: Categories = {}
    for column, names in columns.items():
        values = (row.get(column) for row in rows)
        found[column] = [None if cells.is_gap(value, gaps) else names.of(value) for value in values]
    return found


def _number(value: Any) -> float:
    """As the model is fed it, NaN for what it is not fed: booleans came here only where it takes them."""
    try:
        return float(cells.number(value))
    except (ValueError, OverflowError):
        truth = cells.truth(value)
        return math.nan if truth is None else float(truth)


def count(counts: Counts, call: Call) -> None:
    """Count the features of a call's inputs, where its version has a reference. counts: of this call alone."""
    loaded = call.loaded
    known = _bins(loaded)
    compute = OF_KIND.get(loaded.manifest.input_kind or "")
    if not known or compute is None:
        return
    computed = compute(call, known)
    described = {name: values for name, values in computed.items() if name in known}
    counts.items += max((len(values) for values in described.values()), default=0)
    for name, values in described.items():
        histogram = counts.features.setdefault(name, {})
        for value in values if isinstance(values, list) else values.tolist():
            number = _place(value, known[name])
            histogram[number] = histogram.get(number, 0) + 1
    if counts.items:
        counts.placed, counts.out_of_range = 1, int(_is_outside(counts, known))


def _is_outside(counts: Counts, known: Mapping[str, Bins]) -> bool:
    """Whether any item of a call is below or above a feature's bins, or none of its names.

    By calls, as versions are drawn for them: the items of one call are no events of their own.
    """
    return any(
        number == len(known[name]) or (number == 0 and not isinstance(known[name], dict))
        for name, histogram in counts.features.items()
        for number in histogram
    )


def _place(value: Any, of: Bins) -> int:
    """As bins.place has it; among names, the number of the name, and behind the last one for any other text."""
    if isinstance(of, dict):
        return -1 if value is None else of.get(value, len(of))
    return bins.place(value, of)


def _bins(loaded: Loaded) -> dict[str, Bins]:
    """The reference's bins by feature: of what a package says, what can be used."""
    known: dict[str, Bins] | None = loaded.parts.get(PARSED)
    if known is None:
        known = {name: of for name, one in _described(loaded).items() if (of := _usable_bins(one)) is not None}
        loaded.parts[PARSED] = known
    return known


def _described(loaded: Loaded) -> dict[str, Any]:
    described = (loaded.manifest.reference or {}).get("features")
    return dict(list(described.items())[:MOST_FEATURES]) if isinstance(described, dict) else {}


def _usable_bins(histogram: Any) -> Bins | None:
    names = histogram.get("names") if isinstance(histogram, dict) else None
    if isinstance(names, list) and 0 < len(names) < MOST_EDGES and all(isinstance(name, str) for name in names):
        return {name: number for number, name in enumerate(names)}
    return list(histogram["edges"]) if _usable(histogram) else None


def _usable(histogram: Any) -> bool:
    edges = histogram.get("edges") if isinstance(histogram, dict) else None
    return isinstance(edges, list) and 2 <= len(edges) <= MOST_EDGES and bins.is_scale(edges)


def _of_images(call: Call, known: Mapping[str, Bins]) -> Mapping[str, Computed]:
    sizes = [(item.width, item.height) for item in _items(call)] if SIDE in known else []
    return {**_of_tensor(call), **(of_sizes(sizes) if sizes else {})}


def _of_tensor(call: Call) -> Features:
    """pixel = (value * std + mean) / scale, rounded: what the tensor was made of, to the last pixel."""
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
    pixels = values.transpose(0, 2, 3, 1) if plan.layout == "NCHW" else values
    with np.errstate(all="ignore"):  # a caller's own tensor may hold anything
        return of_pixels(np.rint(pixels.astype(np.float64)))


def _of_texts(call: Call, known: Mapping[str, Bins]) -> Mapping[str, Computed]:
    texts = [item for item in _items(call) if isinstance(item, str)]
    computed: dict[str, Computed] = dict(of_texts(texts)) if texts else {}
    if texts and SCRIPT in known:
        computed |= of_scripts(texts)
    if UNKNOWN_TOKENS in known:
        computed |= _of_tokens(call)
    return computed


def _of_tokens(call: Call) -> Features:
    """Of the call's last run. Which token stands for what is unknown, the reference says."""
    plan, unknown = call.loaded.manifest.preprocess, _described(call.loaded)[UNKNOWN_TOKENS].get("token")
    if not isinstance(plan, processing.Text) or not isinstance(unknown, int):
        return {}
    ids, mask = (call.inputs.get(name) for name in (plan.ids, plan.mask))
    if ids is None or mask is None or ids.ndim != 2 or mask.shape != ids.shape:
        return {}
    return of_tokens(ids[:MOST_ITEMS], mask[:MOST_ITEMS], unknown)


def _of_sounds(call: Call, known: Mapping[str, Bins]) -> Mapping[str, Computed]:
    plan = call.loaded.manifest.preprocess
    rate = plan.sample_rate if isinstance(plan, processing.Audio) else processing.Audio().sample_rate
    sounds = [item for item in _items(call) if isinstance(item, np.ndarray)]
    return of_sounds(sounds, rate) if sounds else {}


def _of_rows(call: Call, known: Mapping[str, Bins]) -> Mapping[str, Computed]:
    rows = [item for item in _items(call) if isinstance(item, dict)]
    if not rows:
        return {}
    named = _names(call.loaded, known)
    plan = call.loaded.manifest.preprocess
    gaps = (plan.gaps or ()) if isinstance(plan, Table) else ()
    numbers = [name for name in known if name not in named]
    return {**of_rows(rows, numbers), **of_categories(rows, named, gaps)}


def _names(loaded: Loaded, known: Mapping[str, Bins]) -> dict[str, Names]:
    """Of the features that have names: by the column's categories, or by the reference's where it declares none."""
    made: dict[str, Names] | None = loaded.parts.get(NAMED)
    if made is None:
        plan = loaded.manifest.preprocess
        declared = {one.name: one.categories for one in plan.columns} if isinstance(plan, Table) else {}
        named = {name: of for name, of in known.items() if isinstance(of, dict)}
        made = {name: Names(declared.get(name) or list(of), of) for name, of in named.items()}
        loaded.parts[NAMED] = made
    return made


def _items(call: Call) -> list[Any]:
    return (call.loaded.items or [])[:MOST_ITEMS]


OF_KIND: dict[str, Callable[[Call, Mapping[str, Bins]], Mapping[str, Computed]]] = {
    "image": _of_images,
    "text": _of_texts,
    "audio": _of_sounds,
    "table": _of_rows,
}
