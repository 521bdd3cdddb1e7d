"""Images: kept as pixels, normalized batch by batch."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from shared.serving import features
from training.errors import TrainingError
from training.kinds.augment import augment, random_augment
from training.kinds.kind import Inputs
from training.kinds.one_input import OneInput
from training.options import Augmentation, KindName, Preparation

IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])  # what torchvision's weights were trained with
AS_HERE = {"resize": "stretch", "layout": "NCHW"}


class Images(OneInput):
    """Pixels [N, H, W, C] uint8 as [N, C, H, W] float32: (pixel / 255 - mean) / std per channel."""

    name: KindName = "image"
    task = "image-classification"

    def __init__(self, preprocess: dict[str, Any], input_name: str = "image") -> None:
        self.preprocess, self.input_name, self.files = preprocess, input_name, dict[str, bytes]()
        height, width = preprocess["size"]
        self.shape = (1 if preprocess["mode"] == "L" else 3, height, width)
        self.description = f"images of {height}x{width} with {self.shape[0]} channels"

    @classmethod
    def fit(cls, values: np.ndarray, details: dict[str, Any], preparation: Preparation) -> Images:
        del details
        _, height, width, channels = values.shape
        mean, std = statistics(values)
        if preparation.imagenet and channels == 3:
            mean, std = IMAGENET
        return cls(
            {
                "mode": "L" if channels == 1 else "RGB",
                "size": [height, width],
                "resize": "stretch",
                "interpolation": "bilinear",
                "scale": 1 / 255,
                "mean": mean,
                "std": std,
                "layout": "NCHW",
            }
        )

    @classmethod
    def declared(cls, manifest: dict[str, Any], folder: Path | None) -> Images:
        """Raises TrainingError for a package that prepares images in another way than training does."""
        del folder
        preprocess = AS_HERE | {"scale": 1 / 255} | manifest["preprocess"]
        other = {key for key, value in AS_HERE.items() if preprocess[key] != value} | {"shorter", "crop"} & set(
            preprocess
        )
        if (
            other
            or preprocess.get("mode") not in ("L", "RGB")
            or abs(preprocess["scale"] * 255 - 1) > 1e-6
            or "mean" not in preprocess
        ):
            raise TrainingError(
                "this package prepares images in another way than the training job "
                f"({', '.join(sorted(other)) or 'scale or mode'})"
            )
        return cls(preprocess, manifest["inputs"][0]["name"])

    @property
    def reading(self) -> dict[str, Any]:
        return {"size": self.shape[1:]}

    def mismatch(self, values: np.ndarray, details: dict[str, Any]) -> str | None:
        _, height, width, channels = values.shape
        if (channels, height, width) == self.shape:
            return None
        mend = "save them in the same colors" if channels != self.shape[0] else "omit --size"
        return f"{self.description}, these are of {height}x{width} with {channels}: {mend}"

    def encode(self, values: np.ndarray) -> Inputs:
        return {self.input_name: torch.from_numpy(np.ascontiguousarray(values.transpose(0, 3, 1, 2)))}

    def inputs(self, encoded: Inputs, indices: torch.Tensor | slice) -> Inputs:
        return {self.input_name: self._normalized(encoded[self.input_name][indices])}

    def augmented(
        self, encoded: Inputs, indices: torch.Tensor, generator: torch.Generator, augmentation: Augmentation
    ) -> Inputs:
        pixels = encoded[self.input_name][indices]
        if augmentation.randaugment:
            pixels = random_augment(pixels, generator, *augmentation.randaugment)
        changed = augment(
            self._normalized(pixels),
            generator,
            shift=augmentation.shift,
            flip=not augmentation.no_flip,
            erase=augmentation.erase,
            crop=augmentation.crop,
            rotate=augmentation.rotate,
        )
        return {self.input_name: changed}

    def _normalized(self, pixels: torch.Tensor) -> torch.Tensor:
        mean, std = (
            torch.tensor(self.preprocess[name], dtype=torch.float32)[:, None, None] for name in ("mean", "std")
        )
        return ((pixels.float() * torch.tensor(1 / 255, dtype=torch.float32) - mean) / std).contiguous()

    def features(self, values: np.ndarray) -> dict[str, np.ndarray]:
        return features.of_pixels(values)

    def file_features(self, details: dict[str, Any]) -> dict[str, np.ndarray]:
        return features.of_sizes(details["sizes"]) if "sizes" in details else {}


def statistics(images: np.ndarray) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel of uint8 images [N, H, W, C], as shares of 255, to 4 digits."""
    values, mean, std = np.arange(256) / 255, [], []
    for channel in range(images.shape[3]):
        share = np.bincount(images[..., channel].reshape(-1), minlength=256) / images[..., channel].size
        center = float(share @ values)
        mean.append(round(center, 4))
        std.append(round(math.sqrt(float(share @ (values - center) ** 2)), 4) or 1.0)
    return mean, std
