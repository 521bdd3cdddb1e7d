"""Networks for small images that a processor without a GPU trains in seconds or minutes, and runs in microseconds.

All take images [N, channels, height, width] of at least 8x8 pixels, and give logits [N, classes]. All halve the image
in their first layers: at full size, BatchNorm and activations move more memory than the convolutions have work for.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from training.errors import TrainingError
from training.networks.images import Residual

Shape = tuple[int, ...]  # channels, height, width
Activation = Callable[[], nn.Module]
SMALLEST = 8


class QuickCNN(nn.Module):
    """Three convolutions and one linear layer: trained to 90 % on Fashion-MNIST in seconds; also as a student.

    In ONNX Runtime it is six operators, as BatchNorm is folded into its convolution and ReLU fused with it.
    """

    kind = "image"

    def __init__(self, shape: Shape, classes: int, widths: tuple[int, int, int] = (16, 32, 64)) -> None:
        super().__init__()
        channels, height, width = _fitting(shape)
        first, second, third = widths
        self.features = nn.Sequential(
            *_block(channels, first, nn.ReLU, size=5, stride=2),
            *_block(first, second, nn.ReLU),
            nn.MaxPool2d(2),
            *_block(second, third, nn.ReLU),
        )
        rows, columns = ((side + 1) // 2 // 2 for side in (height, width))
        self.head = nn.Linear(third * rows * columns, classes)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.features(image).flatten(1))
        return logits


class SmallResNet(nn.Module):
    """Three residual stages at a half, a quarter and an eighth of the image's size, and the maximum of each channel.

    A wide, shallow residual network (Zagoruyko and Komodakis 2016, Wide Residual Networks) with the order of David
    Page's ResNet-9 (DAWNBench 2018): widen, pool, then a residual of two convolutions. GELU, as in Keller Jordan's
    networks (2024, 94 % on CIFAR-10 in 3.29 Seconds on a Single GPU).
    """

    kind = "image"

    def __init__(self, shape: Shape, classes: int, widths: tuple[int, int, int, int] = (16, 48, 96, 192)) -> None:
        super().__init__()
        channels, _, _ = _fitting(shape)
        stem, first, second, third = widths
        self.features = nn.Sequential(
            *_block(channels, stem, nn.GELU),
            *_block(stem, first, nn.GELU, stride=2),
            _residual(first),
            *_block(first, second, nn.GELU, pool=True),
            _residual(second),
            *_block(second, third, nn.GELU, pool=True),
            _residual(third),
        )
        self.head = nn.Linear(third, classes)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.features(image).amax((2, 3)))
        return logits


class MirrorResNet(SmallResNet):
    """A SmallResNet that answers with the mean of its logits for an image and its mirror image, once it is trained.

    For things that may face either way; not for digits or letters. Twice the work of one answer.
    """

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        logits = super().forward(image)
        return logits if self.training else (logits + super().forward(image.flip(3))) / 2


def _residual(width: int) -> Residual:
    return Residual(nn.Sequential(*_block(width, width, nn.GELU), *_block(width, width, nn.GELU)))


def _block(
    inputs: int, outputs: int, activation: Activation, *, size: int = 3, stride: int = 1, pool: bool = False
) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)
    pooling = [nn.MaxPool2d(2)] if pool else []  # before the activation, which has a quarter of the work then
    return [convolution, *pooling, nn.BatchNorm2d(outputs), activation()]


def _fitting(shape: Shape) -> tuple[int, int, int]:
    channels, height, width = shape
    if min(height, width) < SMALLEST:
        raise TrainingError(
            f"images of {height}x{width} are too small for this network: use at least {SMALLEST}x{SMALLEST}"
        )
    return channels, height, width
