"""Which parts of an image speak for a class: class maps, occlusion (Zeiler, Fergus 2014), RISE (Petsiuk et al. 2018).

Parts are covered in the model's view of the image, with its mean color; the answer is in the original's coordinates.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from shared import budget
from shared.errors import BadInput
from shared.groups import in_groups
from shared.package.processing import Scores
from shared.serving.explain import Options, class_index, heading, rounded
from shared.serving.inputs import images
from shared.serving.inputs.images import Placement, View
from shared.serving.loaded import Loaded
from shared.serving.outputs import batching, classification
from shared.values.numbers import require_finite

CELLS = 14  # of the grid, along each side
COVERED = 3  # cells along each side of what is covered at once
COARSE = 7  # cells along each side of RISE's masks
SAMPLES = 500
SMALLEST, LARGEST = 256, 1024  # pixels along the longer side of a picture


def explain(loaded: Loaded, body: bytes, options: Options) -> dict[str, Any] | bytes:
    """Of an encoded image. Raises BadInput."""
    tensor, plan = images.signature(loaded)
    kept = images.bytes_of_a_pixel(plan, tensor) if images.any_size(loaded) and not plan.shorter else 0
    original = images.decode(body, plan.mode, kept)
    view = images.make_view(original, plan, tensor)
    scores = _scores(loaded, [np.asarray(view.image)])[0]
    index = class_index(loaded, scores, options)
    method = options.method or ("cam" if _maps(loaded) else "occlusion")
    heat = {"cam": class_map, "occlusion": occlusion, "rise": rise}[method](loaded, view, scores[index], index, options)
    if options.format == "png":
        return overlay(original.convert("RGB"), heat, view)
    about = {"image": [original.height, original.width], "seen": _visible_area(view.placement, view.image.size)}
    return {**heading(loaded, scores, index, method), **about, "attributions": rounded(heat)}


def class_map(loaded: Loaded, view: View, score: float, index: int, options: Options) -> np.ndarray:
    """The package's own map of the class, [h, w] (Zhou et al. 2016)."""
    name = _maps(loaded)
    if name is None:
        raise BadInput("the package exports no class maps (postprocess.maps): use method=occlusion or method=rise")
    tensor, plan = images.signature(loaded)
    feed = {tensor.name: images.numbers(view.image, plan, tensor.datatype)[None]}
    values = batching.run(loaded, feed, [name])[name]
    if values.ndim != 4 or values.shape[1] <= index:
        raise BadInput(f"output {name!r} of shape {list(values.shape)} is no map per class")
    require_finite(values[0, index], "class map")
    return np.asarray(values[0, index])


def occlusion(loaded: Loaded, view: View, score: float, index: int, options: Options) -> np.ndarray:
    """How much the score falls when a cell is covered, [CELLS, CELLS]: the mean of all covers that it is under."""
    pixels = np.asarray(view.image)
    positions = [(y, x) for y in range(1 - COVERED, CELLS) for x in range(1 - COVERED, CELLS)]
    falls, counts = np.zeros((CELLS, CELLS)), np.zeros((CELLS, CELLS))
    for position, scores in zip(
        positions, _scores_of(loaded, (_cover(pixels, *position) for position in positions)), strict=True
    ):
        cells = tuple(slice(max(at, 0), at + COVERED) for at in position)
        falls[cells] += score - scores[index]
        counts[cells] += 1
    return np.asarray(falls / counts)


def rise(loaded: Loaded, view: View, score: float, index: int, options: Options) -> np.ndarray:
    """The mean of random masks, weighted by the scores that they leave, [CELLS, CELLS]."""
    pixels = np.asarray(view.image)
    masks = _masks(options.samples or SAMPLES, np.random.default_rng(options.seed))
    masked = (_mix(pixels, mask) for mask in masks)
    masked_scores = np.array([scores[index] for scores in _scores_of(loaded, masked)])
    # the mean is taken away from both: what chance showed more often would count for more
    return np.asarray(np.tensordot(masked_scores - masked_scores.mean(), masks - masks.mean(axis=0), 1) / len(masks))


def _masks(count: int, random: np.random.Generator) -> np.ndarray:
    """Smooth masks between 0 and 1, [count, CELLS, CELLS]: random coarse grids, enlarged and shifted."""
    masks = np.empty((count, CELLS, CELLS))
    large, cell = CELLS + CELLS // COARSE, CELLS // COARSE
    for number in range(count):
        grid = Image.fromarray((random.random((COARSE + 1, COARSE + 1)) < 0.5).astype(np.uint8) * 255)
        smooth = np.asarray(grid.resize((large, large), Image.Resampling.BILINEAR), np.float64) / 255
        y, x = random.integers(0, cell, 2, endpoint=True)
        masks[number] = smooth[y : y + CELLS, x : x + CELLS]
    return masks


def _cover(pixels: np.ndarray, row: int, column: int) -> np.ndarray:
    height, width = pixels.shape[:2]
    rows = slice(max(row, 0) * height // CELLS, (row + COVERED) * height // CELLS)
    columns = slice(max(column, 0) * width // CELLS, (column + COVERED) * width // CELLS)
    changed = pixels.copy()
    changed[rows, columns] = pixels.mean(axis=(0, 1)).astype(np.uint8)
    return changed


def _mix(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    size = (pixels.shape[1], pixels.shape[0])
    weight = np.asarray(Image.fromarray(mask.astype(np.float32)).resize(size, Image.Resampling.BILINEAR))
    weight = weight if pixels.ndim == 2 else weight[:, :, None]
    return np.asarray(np.round(pixels * weight + pixels.mean(axis=(0, 1)) * (1 - weight)), np.uint8)


def _scores_of(loaded: Loaded, variants: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """The scores of variants, of which only as many are held as go into one run."""
    tensor, plan = images.signature(loaded)
    first = next(variants)
    each = first.shape[0] * first.shape[1] * images.bytes_of_a_pixel(plan, tensor)
    size, variants = batching.per_run(loaded, each), itertools.chain([first], variants)
    for group in in_groups(variants, size):
        yield from _scores(loaded, group)


def _scores(loaded: Loaded, variants: list[np.ndarray]) -> np.ndarray:
    tensor, plan = images.signature(loaded)
    size = sum(variant.shape[0] * variant.shape[1] for variant in variants)
    with budget.part():
        budget.take(size * images.bytes_of_a_pixel(plan, tensor), f"a tensor of {len(variants)} images")
        values = np.stack([images.numbers(Image.fromarray(pixels), plan, tensor.datatype) for pixels in variants])
        return classification.scores(loaded, {tensor.name: values})


def _maps(loaded: Loaded) -> str | None:
    plan = loaded.manifest.postprocess
    return plan.maps if isinstance(plan, Scores) else None


def _visible_area(placement: Placement, size: tuple[int, int]) -> list[float]:
    """What of the original the grid of attributions lies over: [left, top, right, bottom] in its pixels."""
    left, top = -placement.offset[0] / placement.scale[0], -placement.offset[1] / placement.scale[1]
    return [round(v, 2) for v in (left, top, left + size[0] / placement.scale[0], top + size[1] / placement.scale[1])]


def overlay(original: Image.Image, heat: np.ndarray, view: View) -> bytes:
    """The original in gray, and over it in red what speaks for the class, in blue what speaks against it (PNG)."""
    longer = max(original.size)
    zoom = max(1, SMALLEST // longer) if longer < LARGEST else LARGEST / longer
    picture = original.resize((max(round(original.width * zoom), 1), max(round(original.height * zoom), 1)))
    scale, offset = view.placement.scale, view.placement.offset
    large = Image.fromarray(heat.astype(np.float32)).resize(view.image.size, Image.Resampling.BILINEAR)
    # the view of each pixel of the picture: x * scale / zoom + offset
    affine = (scale[0] / zoom, 0, offset[0], 0, scale[1] / zoom, offset[1])
    values = np.asarray(large.transform(picture.size, Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR))
    strength = values / max(float(np.abs(heat).max()), 1e-12)
    gray = np.asarray(picture.convert("L").convert("RGB"), np.float64)
    color = np.where(strength[..., None] > 0, (230.0, 30.0, 30.0), (40.0, 80.0, 230.0))
    alpha = np.clip(np.abs(strength), 0, 1)[..., None] * 0.75
    buffer = io.BytesIO()
    Image.fromarray(np.round(gray * (1 - alpha) + color * alpha).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()
