"""Images → tensors: what is declared is what happens, to the bit. tests/training/test_transforms.py has torchvision."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from shared.errors import BadInput
from shared.package import processing
from shared.package.manifest import Tensor
from shared.serving.inputs import images
from tests.serving import packages
from tests.support import tiny_classifier

RANDOM = np.random.default_rng(0)
COLOR = RANDOM.integers(0, 256, (4, 4, 3), dtype=np.uint8)


def encoded(pixels: np.ndarray, **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", **options)
    return buffer.getvalue()


def tensor_of(pixels: np.ndarray, plan: processing.Image, tensor: Tensor) -> np.ndarray:
    view = images.make_view(images.decode(encoded(pixels), plan.mode), plan, tensor)
    return images.numbers(view.image, plan, tensor.datatype)


def test_normalizing_is_the_arithmetic_that_is_declared() -> None:
    mean, std = np.float32([0.1, 0.2, 0.3]), np.float32([0.5, 0.6, 0.7])
    plan = processing.Image(mean=[0.1, 0.2, 0.3], std=[0.5, 0.6, 0.7])
    values = tensor_of(COLOR, plan, Tensor("i", "FP32", [-1, 3, 4, 4]))
    expected = ((COLOR.astype(np.float32) / np.float32(255) - mean) / std).transpose(2, 0, 1)
    assert values.dtype == np.float32
    assert np.array_equal(values, expected)
    half = tensor_of(COLOR, plan, Tensor("i", "FP16", [-1, 3, 4, 4]))
    assert np.array_equal(half, expected.astype(np.float16))


def test_channels_and_layout() -> None:
    last = Tensor("i", "FP32", [-1, 4, 4, 3])
    values = tensor_of(COLOR, processing.Image(mode="BGR", layout="NHWC", scale=1.0), last)
    assert np.array_equal(values, COLOR[:, :, ::-1].astype(np.float32))
    inferred = packages.loaded(packages.constant({"y": np.zeros(1, np.float32)}))
    assert images.signature(inferred)[1].layout == "NCHW"


def test_integers_are_the_pixels() -> None:
    gray = COLOR[:, :, 0]
    values = tensor_of(gray, processing.Image(mode="L"), Tensor("i", "UINT8", [1, 1, 4, 4]))
    assert values.dtype == np.uint8
    assert np.array_equal(values[0], gray)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_grey_of_16_bits_is_scaled(kind: str) -> None:
    deep = np.array([[0, 128, 129, 257], [1000, 32768, 65406, 65535]], np.uint16)
    body = io.BytesIO()
    Image.fromarray(deep).save(body, kind)
    shallow = np.round(deep / 257).astype(np.uint8)
    assert shallow.tolist() == [[0, 0, 1, 1], [4, 128, 254, 255]]
    assert np.array_equal(images.decode(body.getvalue(), "L"), shallow)
    assert np.array_equal(images.decode(body.getvalue(), "RGB"), np.stack([shallow] * 3, 2))


@pytest.mark.parametrize(("mode", "corner"), [("stretch", 255), ("crop", 255), ("pad", 7), ("corner", 255)])
def test_resize_modes(mode: str, corner: int) -> None:
    wide = Image.fromarray(np.full((10, 30), 255, np.uint8))
    plan = processing.Image(mode="L", resize=mode, fill=7)  # type: ignore[arg-type]
    image, placement = images.make_view(wide, plan, Tensor("i", "FP32", [-1, 1, 8, 8]))
    pixels = np.asarray(image)
    assert pixels.shape == (8, 8)
    assert pixels[0, 0] == corner
    assert pixels[-1, -1] == (7 if mode in ("pad", "corner") else 255)
    # the middle of the original is where `placement` says
    x, y = 15 * placement.scale[0] + placement.offset[0], 5 * placement.scale[1] + placement.offset[1]
    assert (x, y) == pytest.approx({"corner": (4, 4 / 3)}.get(mode, (4, 4)), abs=0.6)


def test_cropping_more_than_there_is_fills_up() -> None:
    plan = processing.Image(mode="L", crop=[6, 6], fill=9)
    small = Image.fromarray(np.full((4, 4), 255, np.uint8))
    pixels = np.asarray(images.make_view(small, plan, Tensor("i", "FP32", [-1, 1, -1, -1])).image)
    assert (pixels == 9).sum() == 36 - 16
    assert (pixels[1:5, 1:5] == 255).all()


def test_orientation_is_undone() -> None:
    pixels = COLOR[:, :, 0]
    exif = Image.Exif()
    exif[0x0112] = 3
    assert np.array_equal(np.asarray(images.decode(encoded(pixels, exif=exif), "L")), np.rot90(pixels, 2))


def test_images_of_different_sizes_do_not_go_together_unless_resized() -> None:
    model = packages.loaded(tiny_classifier(channels=1), preprocess=processing.Image(mode="L"))
    feeds, _ = images.feeds(model, [encoded(COLOR[:, :, 0]), encoded(RANDOM.integers(0, 9, (9, 5), np.uint8))])
    assert feeds["image"].shape == (2, 1, 4, 4)
    free = packages.loaded(
        tiny_classifier(), inputs=[Tensor("image", "FP32", [-1, 1, -1, -1])], preprocess=processing.Image(mode="L")
    )
    assert images.any_size(free)
    with pytest.raises(BadInput, match="different sizes"):
        images.feeds(free, [encoded(COLOR[:, :, 0]), encoded(np.zeros((9, 5), np.uint8))])
