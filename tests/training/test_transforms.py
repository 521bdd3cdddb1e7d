"""The service's image tensors beside torchvision's transforms: the same bits."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from shared.package import processing
from shared.package.manifest import Tensor
from shared.serving.inputs import images

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
SIZES = [(640, 427), (333, 500), (256, 256), (231, 1024), (100, 80)]


def photo(width: int, height: int) -> bytes:
    """A JPEG with edges and gradients."""
    y, x = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(width).integers(0, 64, (height, width))
    pixels = np.stack([x % 256, (x + y) % 256, noise + (y % 192)], axis=2).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("crop", [224, 288])
def test_resize_crop_normalize(size: tuple[int, int], interpolation: str, crop: int) -> None:
    body = photo(*size)
    reference = transforms.Compose(
        [
            transforms.Resize(256, InterpolationMode[interpolation.upper()]),
            transforms.CenterCrop(crop),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    plan = processing.Image(shorter=256, crop=[crop, crop], interpolation=interpolation, mean=MEAN, std=STD)
    tensor = Tensor("image", "FP32", [-1, 3, crop, crop])
    shown = images.make_view(images.decode(body, "RGB"), plan, tensor)
    expected = reference(Image.open(io.BytesIO(body))).numpy()
    assert np.array_equal(images.numbers(shown.image, plan, "FP32"), expected)


@pytest.mark.parametrize("size", SIZES)
def test_stretching(size: tuple[int, int]) -> None:
    body = photo(*size)
    reference = transforms.Compose([transforms.Resize((96, 160)), transforms.ToTensor()])
    plan = processing.Image(size=[96, 160])
    shown = images.make_view(images.decode(body, "RGB"), plan, Tensor("image", "FP32", [-1, 3, 96, 160]))
    expected = reference(Image.open(io.BytesIO(body))).numpy()
    assert np.array_equal(images.numbers(shown.image, plan, "FP32"), expected)
    assert expected.dtype == np.float32 and isinstance(torch.from_numpy(expected), torch.Tensor)
