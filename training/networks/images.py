"""Networks for images [N, channels, height, width]; they give logits [N, classes]."""

from __future__ import annotations

import torch
from torch import nn

from training.errors import TrainingError

Shape = tuple[int, ...]  # channels, height, width


class TutorialCNN(nn.Module):
    """The small CNN of the classic tutorial: two 3x3 convolutions with ReLU and max-pooling, two linear layers.

    The flattened size follows from the input's.
    """

    kind = "image"

    def __init__(self, shape: Shape, classes: int, widths: tuple[int, int] = (64, 128), hidden: int = 1024) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(shape[0], widths[0], 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(widths[0], widths[1], 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.head = nn.Sequential(
            nn.Flatten(), nn.Linear(self._flattened(shape), hidden), nn.ReLU(), nn.Linear(hidden, classes)
        )

    def _flattened(self, shape: Shape) -> int:
        try:
            with torch.no_grad():
                return int(self.features(torch.zeros(1, *shape)).numel())
        except RuntimeError as error:
            height, width = shape[1:]
            raise TrainingError(
                f"images of {height}x{width} are too small for this network: use at least 10x10"
            ) from error

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.features(image))
        return logits


class ResNet9(nn.Module):
    """A residual network for small images, after David Page's ResNet-9 (DAWNBench 2018), with GELU.

    GELU, because ONNX Runtime has one fused kernel for it; CELU would stay three operators. Needs at least 8x8 pixels.
    """

    kind = "image"
    SCALE = 0.125  # of the logits: Page's; the last layer learns faster than BatchNorm lets the others

    def __init__(self, shape: Shape, classes: int, widths: tuple[int, int, int, int] = (64, 128, 256, 256)) -> None:
        super().__init__()
        first, second, third, fourth = widths
        self.features = nn.Sequential(
            _block(shape[0], first),
            _block(first, second, pool=True),
            _residual(second),
            _block(second, third, pool=True),
            _block(third, fourth, pool=True),
            _residual(fourth),
        )
        self.head = nn.Linear(fourth, classes, bias=False)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.features(image).amax((2, 3))) * self.SCALE
        return logits


class Residual(nn.Module):
    """x + inner(x) (He et al. 2016)."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = x + self.inner(x)
        return result


def _residual(width: int) -> Residual:
    return Residual(nn.Sequential(_block(width, width), _block(width, width)))


def _block(inputs: int, outputs: int, pool: bool = False) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)]
    if pool:
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.BatchNorm2d(outputs), nn.GELU())
