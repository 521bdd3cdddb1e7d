"""What images, sounds and tables have in common: a network with one input of floats, all items of one shape."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from training.kinds.kind import Inputs


class OneInput:
    """input_name: the input's name. shape: of one item."""

    input_name: str
    shape: tuple[int, ...]
    fitted_features: tuple[str, ...] = ()

    @property
    def tensors(self) -> list[dict[str, Any]]:
        return [{"name": self.input_name, "datatype": "FP32", "shape": [-1, *self.shape]}]

    @property
    def axes(self) -> list[dict[int, str]]:
        return [{}]

    def disclosed(self, values: np.ndarray) -> np.ndarray:
        return values

    def inputs(self, encoded: Inputs, indices: torch.Tensor | slice) -> Inputs:
        return {self.input_name: encoded[self.input_name][indices]}

    def example(self, count: int) -> tuple[torch.Tensor, ...]:
        return (torch.zeros(count, *self.shape),)

    def file_features(self, details: dict[str, Any]) -> dict[str, np.ndarray]:
        return {}

    def categories(self, values: np.ndarray) -> dict[str, tuple[list[str], list[str | None]]]:
        return {}

    def feature_details(self) -> dict[str, dict[str, Any]]:
        return {}
