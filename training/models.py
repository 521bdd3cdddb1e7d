"""The networks."""

from __future__ import annotations

import torch
from torch import nn

from training.errors import TrainingError


class TutorialCNN(nn.Module):
    """The small CNN of the classic tutorial: two 3x3 convolutions with ReLU and max-pooling, two linear layers.

    Takes [N, channels, height, width], gives logits [N, classes]. The flattened size follows from the input's.
    """

    def __init__(
        self, shape: tuple[int, int, int], classes: int, widths: tuple[int, int] = (64, 128), hidden: int = 1024
    ) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(shape[0], widths[0], 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(widths[0], widths[1], 3), nn.ReLU(), nn.MaxPool2d(2),
        )  # fmt: skip
        self.head = nn.Sequential(
            nn.Flatten(), nn.Linear(self._flattened(shape), hidden), nn.ReLU(), nn.Linear(hidden, classes)
        )

    def _flattened(self, shape: tuple[int, int, int]) -> int:
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
