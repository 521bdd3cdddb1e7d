"""Augmentation of image batches: a random shift with edge padding, a random flip, a random erased square."""

from __future__ import annotations

import torch
from torch.nn import functional


def augment(
    images: torch.Tensor, random: torch.Generator, *, shift: int = 2, flip: bool = True, erase: int = 0
) -> torch.Tensor:
    """A changed copy of images [N, C, H, W]; shift and erase in pixels. Deterministic by the generator."""
    count = len(images)
    if flip:
        mirrored = torch.rand(count, 1, 1, 1, generator=random) < 0.5
        images = torch.where(mirrored, images.flip(3), images)
    if shift:
        images = _shifted(images, random, shift)
    if erase:
        images = _erased(images, random, erase)
    return images


def _shifted(images: torch.Tensor, random: torch.Generator, by: int) -> torch.Tensor:
    count, _, height, width = images.shape
    padded = functional.pad(images, (by, by, by, by), mode="replicate")
    dy = torch.randint(0, 2 * by + 1, (count, 1, 1), generator=random) + torch.arange(height)[None, :, None]
    dx = torch.randint(0, 2 * by + 1, (count, 1, 1), generator=random) + torch.arange(width)[None, None, :]
    picked = padded.permute(0, 2, 3, 1)[torch.arange(count)[:, None, None], dy, dx]
    return picked.permute(0, 3, 1, 2).contiguous()


def _erased(images: torch.Tensor, random: torch.Generator, size: int) -> torch.Tensor:
    count, _, height, width = images.shape
    top = torch.randint(0, height, (count, 1, 1), generator=random)
    left = torch.randint(0, width, (count, 1, 1), generator=random)
    rows, columns = torch.arange(height)[None, :, None], torch.arange(width)[None, None, :]
    hole = (rows >= top) & (rows < top + size) & (columns >= left) & (columns < left + size)
    return images.masked_fill(hole[:, None], 0.0)
