"""What images, sounds and tables have in common: a network with one input of floats, all items of one shape."""

from __future__ import annotations

from typing import Any

import torch

from training.kinds import Inputs


class OneInput:
    """put: the input's name. shape: of one item."""

    put: str
    shape: tuple[int, ...]

    @property
    def puts(self) -> list[dict[str, Any]]:
        return [{"name": self.put, "datatype": "FP32", "shape": [-1, *self.shape]}]

    @property
    def axes(self) -> list[dict[int, str]]:
        return [{}]

    def inputs(self, stored: Inputs, picked: torch.Tensor | slice) -> Inputs:
        return {self.put: stored[self.put][picked]}

    def example(self, count: int) -> tuple[torch.Tensor, ...]:
        return (torch.zeros(count, *self.shape),)
