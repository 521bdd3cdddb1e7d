"""A network for sound, as mel spectrograms [N, 1, mel, frames]; it gives logits [N, classes]."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from training.errors import TrainingError

Shape = tuple[int, ...]  # 1, mel bands, frames


class AudioCNN(nn.Module):
    """Four 3x3 convolutions over mel bands and time, the first three halving both; then the mean of what is left.

    Convolutional keyword spotting after Sainath and Parada 2015, with BatchNorm and without their large linear layer.
    """

    kind = "audio"

    def __init__(
        self, shape: Shape, classes: int, widths: tuple[int, int, int, int] = (16, 32, 48, 64), dropout: float = 0.2
    ) -> None:
        super().__init__()
        if min(shape[1:]) < 8:
            raise TrainingError(f"{shape[1]} mel bands by {shape[2]} frames are too few: give longer --seconds")
        channels = (shape[0], *widths)
        blocks = [_block(a, b, 1 if n == 3 else 2) for n, (a, b) in enumerate(pairwise(channels))]
        self.features = nn.Sequential(*blocks)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(widths[3], classes))

    def forward(self, sound: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.features(sound).mean((2, 3)))
        return logits


def _block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )
