"""Images → tensors: decoding, EXIF orientation, resizing, cropping, normalizing, layout.

Resizing and cropping follow torchvision's transforms on Pillow images, normalizing its arithmetic in FP32: equal
parameters give equal bits (tests/serving/test_images.py, tests/training/test_transforms.py).
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from PIL import Image

from shared import budget
from shared.errors import AmaasError, BadInput, TooLarge
from shared.package import processing
from shared.package.manifest import Tensor
from shared.runtime.arrays import DTYPES
from shared.serving.inputs import image_files
from shared.serving.loaded import Loaded

MAX_PIXELS = 50_000_000
BYTES = 4  # of a pixel in color, as Pillow has it
ROWS = 256
MAX_PIXELS_AT_ONCE = 200_000_000  # of all images of a call: a file of a few kilobytes can hold MAX_PIXELS
FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


class Placement(NamedTuple):
    """Where the original is in the model's view: view = original * scale + offset, in pixels (x, y)."""

    width: int
    height: int
    scale: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)


class View(NamedTuple):
    """An image as the model sees it, before it becomes numbers."""

    image: Image.Image
    placement: Placement


def feeds(loaded: Loaded, bodies: list[bytes]) -> tuple[dict[str, np.ndarray], list[Placement]]:
    """The model's input for encoded images, of shape [N, C, H, W] or [N, H, W, C], and where each image is in it."""
    tensor, plan = signature(loaded)
    kept = bytes_of_a_pixel(plan, tensor) if any_size(loaded) and not plan.shorter else 0
    placements: list[Placement] = []
    values = np.empty(0)
    for number, body in enumerate(bodies):
        with budget.part():  # what was decoded is gone when its numbers are in the tensor
            view = make_view(decode(body, plan.mode, kept), plan, tensor)
        shape = _shape(view.image, plan)
        if number == 0:
            each = view.image.width * view.image.height * bytes_of_a_pixel(plan, tensor)
            budget.take(
                len(bodies) * each, f"a tensor of {len(bodies)} images of {view.image.width}x{view.image.height}"
            )
            values = np.empty((len(bodies), *shape), DTYPES[tensor.datatype])
        if shape != values.shape[1:]:
            raise BadInput("images of different sizes cannot go to this model in one call: it does not resize them")
        _fill(values[number], view.image, plan)
        placements.append(view.placement)
    loaded.note(placements)
    return {tensor.name: values}, placements


def bytes_of_a_pixel(plan: processing.Image, tensor: Tensor) -> int:
    """As the view has it, as an array, and as the model's numbers, of which there is a copy behind the wall."""
    channels = 1 if plan.mode == "L" else 3
    return BYTES + channels + 2 * channels * DTYPES[tensor.datatype].itemsize


def signature(loaded: Loaded) -> tuple[Tensor, processing.Image]:
    """The model's image input and how it is made. Raises BadInput for a model without one."""
    inputs = loaded.manifest.inputs
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].datatype not in ("FP32", "FP16", "FP64", "UINT8"):
        raise BadInput(
            f"model {loaded.name!r} does not take one batch of images: POST tensors to /v2/models/{loaded.name}/infer"
        )
    plan = loaded.manifest.preprocess
    return inputs[0], plan if isinstance(plan, processing.Image) else _infer_plan(inputs[0])


def any_size(loaded: Loaded) -> bool:
    """Whether images keep their own sizes, so that they cannot be put side by side."""
    tensor, plan = signature(loaded)
    return not (plan.size or plan.crop or _input_size(tensor, plan.layout))


def check_pixels(bodies: list[bytes]) -> None:
    """Raises TooLarge when the images of a call have too many pixels together. What is no image is left to decode."""
    pixels = 0
    for body in bodies:
        with suppress(AmaasError):
            image = image_files.opened(body)
            pixels += image.width * image.height
    if pixels > MAX_PIXELS_AT_ONCE:
        raise TooLarge(
            f"the images have {pixels:,} pixels together, one call takes {MAX_PIXELS_AT_ONCE:,}: send fewer at a time, "
            "smaller ones, or a batch job"
        )


def decode(body: bytes, mode: str, kept: int = 0) -> Image.Image:
    """Encoded bytes as an upright image in a color mode. Raises BadInput, Unsupported, TooLarge before it is decoded.

    kept: bytes that the model takes of each pixel, where it takes the image in its own size.
    """
    image = image_files.opened(body)
    size = f"{image.width}x{image.height}"
    if image.width * image.height > MAX_PIXELS:
        raise TooLarge(f"the image has {size} pixels, more than {MAX_PIXELS:,} in all; send it smaller")
    # decoded, and once more turned, resized or in another color mode
    budget.take(image.width * image.height * (2 * BYTES + kept), f"the image of {size} pixels")
    return image_files.decode(body, image, mode)


def make_view(image: Image.Image, plan: processing.Image, tensor: Tensor) -> View:
    """The image resized and cropped as the plan says."""
    view = View(image, Placement(image.width, image.height))
    if plan.shorter:
        view = _stretch(view, *_scale_shorter_side(image, plan.shorter), plan)
    size = plan.size or (None if plan.crop else _input_size(tensor, plan.layout))
    if size:
        view = _resize(view, size[0], size[1], plan)
    return _crop(view, plan.crop[0], plan.crop[1], plan.fill) if plan.crop else view


def numbers(image: Image.Image, plan: processing.Image, datatype: str) -> np.ndarray:
    """Pixels as the model's numbers, of shape [C, H, W] or [H, W, C]."""
    values = np.empty(_shape(image, plan), DTYPES[datatype])
    _fill(values, image, plan)
    return values


def _shape(image: Image.Image, plan: processing.Image) -> tuple[int, ...]:
    bands = len(image.getbands())
    return (bands, image.height, image.width) if plan.layout == "NCHW" else (image.height, image.width, bands)


def _fill(values: np.ndarray, image: Image.Image, plan: processing.Image) -> None:
    """Write the numbers of an image. By rows, as numpy makes an index of eight bytes of each pixel."""
    pixels = np.asarray(image)
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    pixels = pixels[:, :, ::-1] if plan.mode == "BGR" else pixels
    planes = values if plan.layout == "NCHW" else values.transpose(2, 0, 1)
    if values.dtype == np.uint8:
        planes[...] = pixels.transpose(2, 0, 1)
        return
    tables = _values(plan.scale, tuple(plan.mean), tuple(plan.std), len(planes)).astype(values.dtype, copy=False)
    for top in range(0, image.height, ROWS):
        rows = slice(top, top + ROWS)
        for number, (table, plane) in enumerate(zip(tables, planes, strict=True)):
            plane[rows] = np.take(table, pixels[rows, :, number])


@lru_cache(maxsize=64)
def _values(scale: float, mean: tuple[float, ...], std: tuple[float, ...], channels: int) -> np.ndarray:
    """The number of each of the 256 pixel values, per channel: exactly what the arithmetic gives, without doing it."""
    inverse = 1 / scale if scale else 0.0
    levels = np.arange(256, dtype=np.float32)
    # torchvision divides by 255; a product with 1/255 differs in the last bit
    whole = abs(inverse - round(inverse)) < 1e-6 and inverse >= 1
    scaled = levels / np.float32(round(inverse)) if whole else levels * np.float32(scale)
    spread = np.empty((channels, 2), np.float32)
    spread[:, 0], spread[:, 1] = mean, std
    return np.asarray((scaled - spread[:, :1]) / spread[:, 1:])


def _resize(view: View, height: int, width: int, plan: processing.Image) -> View:
    image = view.image
    if plan.resize == "stretch":
        return _stretch(view, height, width, plan)
    ratios = (width / image.width, height / image.height)
    if plan.resize == "crop":
        ratio = max(ratios)
        fitted = _stretch(view, *_scale(image, ratio), plan)
        return _crop(fitted, height, width, plan.fill)
    fitted = _stretch(view, *_scale(image, min(ratios)), plan)
    if plan.resize == "pad":
        return _crop(fitted, height, width, plan.fill)
    return _cut_window(fitted, 0, 0, height, width, plan.fill)


def _scale(image: Image.Image, ratio: float) -> tuple[int, int]:
    return max(round(image.height * ratio), 1), max(round(image.width * ratio), 1)


def _scale_shorter_side(image: Image.Image, side: int) -> tuple[int, int]:
    """Height and width with the shorter one at `side`: the longer one is cut to whole pixels, as torchvision does."""
    if image.width <= image.height:
        return int(side * image.height / image.width), side
    return side, int(side * image.width / image.height)


def _stretch(view: View, height: int, width: int, plan: processing.Image) -> View:
    image, placement = view
    if image.size == (width, height):
        return view
    if width * height > MAX_PIXELS:
        raise TooLarge(
            f"the image has {image.width}x{image.height} pixels: resized for this model it would have "
            f"{width}x{height}; send one that is less narrow"
        )
    factors = (width / image.width, height / image.height)
    scale = (placement.scale[0] * factors[0], placement.scale[1] * factors[1])
    offset = (placement.offset[0] * factors[0], placement.offset[1] * factors[1])
    budget.take(width * height * BYTES, f"the image, resized to {width}x{height} pixels,")
    resized = image.resize((width, height), FILTERS[plan.interpolation])
    return View(resized, placement._replace(scale=scale, offset=offset))


def _crop(view: View, height: int, width: int, fill: int) -> View:
    """The center, with `fill` around where the image is smaller; rounding as torchvision's CenterCrop."""
    image = view.image
    left = round((image.width - width) / 2.0) if image.width >= width else -((width - image.width) // 2)
    top = round((image.height - height) / 2.0) if image.height >= height else -((height - image.height) // 2)
    return _cut_window(view, left, top, height, width, fill)


def _cut_window(view: View, left: int, top: int, height: int, width: int, fill: int) -> View:
    image, placement = view
    if (left, top) == (0, 0) and image.size == (width, height):
        return view
    offset = (placement.offset[0] - left, placement.offset[1] - top)
    if left >= 0 and top >= 0 and left + width <= image.width and top + height <= image.height:
        part = image.crop((left, top, left + width, top + height))
    else:
        part = Image.new(image.mode, (width, height), (fill,) * len(image.getbands()))
        part.paste(image, (-left, -top))
    return View(part, placement._replace(offset=offset))


def _infer_plan(tensor: Tensor) -> processing.Image:
    layout = "NHWC" if tensor.shape[3] in (1, 3) and tensor.shape[1] not in (1, 3) else "NCHW"
    channels = tensor.shape[3] if layout == "NHWC" else tensor.shape[1]
    return processing.Image(mode="L" if channels == 1 else "RGB", layout=layout)  # type: ignore[arg-type]  # both literals


def _input_size(tensor: Tensor, layout: str) -> list[int] | None:
    height, width = tensor.shape[2:4] if layout == "NCHW" else tensor.shape[1:3]
    return [height, width] if height > 0 and width > 0 else None
