"""Augmentation of image batches: shift, mirror, crop, rotation, an erased square, RandAugment; pairs of items mixed."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn import functional


def augment(
    images: torch.Tensor,
    random: torch.Generator,
    *,
    shift: int = 2,
    flip: bool = True,
    erase: int = 0,
    crop: float = 0.0,
    rotate: float = 0.0,
) -> torch.Tensor:
    """A changed copy of images [N, C, H, W]; shift and erase in pixels. Deterministic by the generator.

    crop: the largest share of each side that is cut off; the rest is enlarged. rotate: degrees, either way.
    """
    count = len(images)
    if flip:
        mirrored = torch.rand(count, 1, 1, 1, generator=random) < 0.5
        images = torch.where(mirrored, images.flip(3), images)
    if shift:
        images = _shifted(images, random, shift)
    if crop or rotate:
        images = _warped(images, random, crop, rotate)
    if erase:
        images = _erased(images, random, erase)
    return images


def _shifted(images: torch.Tensor, random: torch.Generator, by: int) -> torch.Tensor:
    count, _, height, width = images.shape
    padded = functional.pad(images, (by, by, by, by), mode="replicate")
    dy = torch.randint(0, 2 * by + 1, (count, 1, 1), generator=random) + torch.arange(height)[None, :, None]
    dx = torch.randint(0, 2 * by + 1, (count, 1, 1), generator=random) + torch.arange(width)[None, None, :]
    shifted = padded.permute(0, 2, 3, 1)[torch.arange(count)[:, None, None], dy, dx]
    return shifted.permute(0, 3, 1, 2).contiguous()


def _erased(images: torch.Tensor, random: torch.Generator, size: int) -> torch.Tensor:
    count, _, height, width = images.shape
    top = torch.randint(0, height, (count, 1, 1), generator=random)
    left = torch.randint(0, width, (count, 1, 1), generator=random)
    rows, columns = torch.arange(height)[None, :, None], torch.arange(width)[None, None, :]
    hole = (rows >= top) & (rows < top + size) & (columns >= left) & (columns < left + size)
    return images.masked_fill(hole[:, None], 0.0)


def _warped(images: torch.Tensor, random: torch.Generator, crop: float, rotate: float) -> torch.Tensor:
    """Cropped and turned in one bilinear sampling; what lies outside takes the color of the nearest edge."""
    count, _, height, width = images.shape
    scale = 1 - crop * torch.rand(count, generator=random)
    angle = (2 * torch.rand(count, generator=random) - 1) * math.radians(rotate)
    center = (2 * torch.rand(2, count, generator=random) - 1) * (1 - scale)  # so that the window stays inside
    cos, sin, aspect = scale * angle.cos(), scale * angle.sin(), height / width
    rows = torch.stack([cos, -sin * aspect, center[0], sin / aspect, cos, center[1]], 1).reshape(count, 2, 3)
    grid = functional.affine_grid(rows, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


TOGETHER = 16  # images that share one draw of operations: one by one, drawing would take longer than training


def random_augment(pixels: torch.Tensor, random: torch.Generator, operations: int, magnitude: int) -> torch.Tensor:
    """RandAugment (Cubuk et al. 2020; torchvision's) of uint8 images [N, C, H, W]; so many operations, drawn by lot.

    magnitude: 0 to 30. torchvision draws from PyTorch's own generator, which is seeded here and put back.
    """
    from torchvision.transforms import v2

    change = v2.RandAugment(operations, magnitude)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**62, (), generator=random)))
        return torch.cat([change(part) for part in pixels.split(TOGETHER)])


def mix(
    images: torch.Tensor, random: torch.Generator, *, mixup: float = 0.0, cutmix: float = 0.0
) -> tuple[torch.Tensor, torch.Tensor, float]:
    """(mixed images, the partner of each [N], the share that is still its own); with both alphas, one by lot.

    mixup: Zhang et al. 2018, of any tensor of numbers. cutmix: Yun et al. 2019, of images [N, C, H, W]; the share is
    that of the pixels after cutting at the edges.
    """
    if not (mixup or cutmix):
        return images, torch.arange(len(images)), 1.0
    paste = bool(cutmix) and (not mixup or bool(torch.rand((), generator=random) < 0.5))
    partner = torch.randperm(len(images), generator=random)
    own = _beta(cutmix if paste else mixup, random)
    if not paste:
        return own * images + (1 - own) * images[partner], partner, own
    return _pasted(images, partner, own, random)


def _pasted(
    images: torch.Tensor, partner: torch.Tensor, own: float, random: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, float]:
    height, width = images.shape[2:]
    half = [side * math.sqrt(1 - own) / 2 for side in (height, width)]
    middle = (torch.rand(2, generator=random) * torch.tensor([height, width])).tolist()
    (top, bottom), (left, right) = (
        (max(0, round(at - reach)), min(side, round(at + reach)))
        for at, reach, side in zip(middle, half, (height, width), strict=True)
    )
    mixed = images.clone()
    mixed[:, :, top:bottom, left:right] = images[partner, :, top:bottom, left:right]
    return mixed, partner, 1 - (bottom - top) * (right - left) / (height * width)


def _beta(alpha: float, random: torch.Generator) -> float:
    """A draw of Beta(alpha, alpha); NumPy's, seeded by the generator, since PyTorch's takes none."""
    return float(np.random.default_rng(int(torch.randint(2**62, (), generator=random))).beta(alpha, alpha))
