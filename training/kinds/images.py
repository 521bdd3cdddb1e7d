"""Images: kept as pixels, normalised batch by batch."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.errors import TrainingError
from training.kinds import Inputs
from training.kinds.augment import augment, random_augment
from training.kinds.single import OneInput

IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])  # what torchvision's weights were trained with
AS_HERE = {"resize": "stretch", "layout": "NCHW"}


class Images(OneInput):
    """Pixels [N, H, W, C] uint8 as [N, C, H, W] float32: (pixel / 255 - mean) / std per channel."""

    name, task = "image", "image-classification"

    def __init__(self, plan: dict[str, Any], put: str = "image") -> None:
        self.plan, self.put, self.files = plan, put, dict[str, bytes]()
        height, width = plan["size"]
        self.shape = (1 if plan["mode"] == "L" else 3, height, width)
        self.described = f"images of {height}x{width} with {self.shape[0]} channels"

    @classmethod
    def fit(cls, values: np.ndarray, details: dict[str, Any], s: argparse.Namespace) -> Images:
        del details
        _, height, width, channels = values.shape
        mean, std = statistics(values)
        if s.pretrained is not None and channels == 3:
            mean, std = IMAGENET
        return cls({
            "mode": "L" if channels == 1 else "RGB", "size": [height, width], "resize": "stretch",
            "interpolation": "bilinear", "scale": 1 / 255, "mean": mean, "std": std, "layout": "NCHW",
        })  # fmt: skip

    @classmethod
    def declared(cls, manifest: dict[str, Any], folder: Path | None) -> Images:
        """Raises TrainingError for a package that prepares images in another way than training does."""
        del folder
        plan = AS_HERE | {"scale": 1 / 255} | manifest["preprocess"]
        other = {key for key, value in AS_HERE.items() if plan[key] != value} | {"shorter", "crop"} & set(plan)
        if other or plan.get("mode") not in ("L", "RGB") or abs(plan["scale"] * 255 - 1) > 1e-6 or "mean" not in plan:
            raise TrainingError(
                "this package prepares images in another way than the training job "
                f"({', '.join(sorted(other)) or 'scale or mode'})"
            )
        return cls(plan, manifest["inputs"][0]["name"])

    @property
    def reading(self) -> dict[str, Any]:
        return {"size": self.shape[1:]}

    def unlike(self, values: np.ndarray, details: dict[str, Any]) -> str | None:
        _, height, width, channels = values.shape
        if (channels, height, width) == self.shape:
            return None
        mend = "save them in the same colours" if channels != self.shape[0] else "leave --size away"
        return f"{self.described}, these are of {height}x{width} with {channels}: {mend}"

    def stored(self, values: np.ndarray) -> Inputs:
        return {self.put: torch.from_numpy(np.ascontiguousarray(values.transpose(0, 3, 1, 2)))}

    def inputs(self, stored: Inputs, picked: torch.Tensor | slice) -> Inputs:
        return {self.put: self._normalised(stored[self.put][picked])}

    def augmented(self, stored: Inputs, picked: torch.Tensor, random: torch.Generator, s: argparse.Namespace) -> Inputs:
        pixels = stored[self.put][picked]
        if s.randaugment:
            pixels = random_augment(pixels, random, *s.randaugment)
        changed = augment(
            self._normalised(pixels), random, shift=s.shift, flip=not s.no_flip, erase=s.erase, crop=s.crop,
            rotate=s.rotate,
        )  # fmt: skip
        return {self.put: changed}

    def _normalised(self, pixels: torch.Tensor) -> torch.Tensor:
        mean, std = (torch.tensor(self.plan[name], dtype=torch.float32)[:, None, None] for name in ("mean", "std"))
        return ((pixels.float() * torch.tensor(1 / 255, dtype=torch.float32) - mean) / std).contiguous()

    def features(self, values: np.ndarray) -> dict[str, np.ndarray]:
        pixels = values.reshape(len(values), -1)
        return {"brightness": pixels.mean(1) / 255, "contrast": pixels.std(1) / 127.5}


def statistics(images: np.ndarray) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel of uint8 images [N, H, W, C], as shares of 255, to 4 digits."""
    values, mean, std = np.arange(256) / 255, [], []
    for channel in range(images.shape[3]):
        share = np.bincount(images[..., channel].reshape(-1), minlength=256) / images[..., channel].size
        centre = float(share @ values)
        mean.append(round(centre, 4))
        std.append(round(math.sqrt(float(share @ (values - centre) ** 2)), 4) or 1.0)
    return mean, std
