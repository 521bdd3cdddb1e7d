"""A network for tables: rows [N, columns], numbers scaled and categories one-hot; it gives logits [N, classes]."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn


class MLP(nn.Module):
    """A multi-layer perceptron with BatchNorm and dropout."""

    kind = "table"

    def __init__(
        self, shape: tuple[int, ...], classes: int, hidden: int = 64, layers: int = 2, dropout: float = 0.1
    ) -> None:
        super().__init__()
        widths = [shape[0], *[hidden] * layers]
        blocks = [
            nn.Sequential(nn.Linear(a, b), nn.BatchNorm1d(b), nn.ReLU(), nn.Dropout(dropout))
            for a, b in pairwise(widths)
        ]
        self.layers = nn.Sequential(*blocks, nn.Linear(widths[-1], classes))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layers(features)
        return logits
