"""Sound: mel spectrograms, made by the code that serves; computed once, since that is what takes the time."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from shared.package import processing
from shared.serving import features
from shared.serving.inputs import sounds
from training.errors import TrainingError
from training.kinds.kind import Inputs
from training.kinds.one_input import OneInput
from training.options import Augmentation, KindName, Preparation

MELS = 40
FRAME, HOP = 0.032, 0.010  # seconds
TOP_DB = 80.0
LONGEST = 600.0  # seconds that the service hears at once


class Sounds(OneInput):
    """Samples in -1..1 of one channel as decibels of mel bands [N, 1, mel, frames], with the mean 0 and deviation 1."""

    name: KindName = "audio"
    task = "audio-classification"

    def __init__(self, preprocess: dict[str, Any], input_name: str = "sound") -> None:
        self.preprocess, self.input_name, self.files = preprocess, input_name, dict[str, bytes]()
        self.audio = processing.Audio(**{field: value for field, value in preprocess.items() if field != "kind"})
        rate, seconds = self.audio.sample_rate, float(preprocess["seconds"])
        self.shape = (1, *sounds.features(np.zeros(round(rate * seconds), np.float32), self.audio).shape)
        self.description = f"sounds of {seconds:g} s as {self.shape[1]} mel bands by {self.shape[2]} frames"

    @classmethod
    def fit(cls, values: np.ndarray, details: dict[str, Any], preparation: Preparation) -> Sounds:
        rate = int(details["sample_rate"])
        n_fft = 2 ** round(math.log2(rate * FRAME))
        preprocess = {
            "kind": "audio",
            "sample_rate": rate,
            "seconds": preparation.seconds or _length(values, rate),
            "features": "mel",
            "n_fft": n_fft,
            "hop_length": round(rate * HOP),
            "n_mels": MELS,
            "log": "db",
            "top_db": TOP_DB,
        }
        decibels = cls(preprocess).encode(values)["sound"]
        return cls(
            preprocess | {"mean": round(float(decibels.mean()), 4), "std": round(float(decibels.std()), 4) or 1.0}
        )

    @classmethod
    def declared(cls, manifest: dict[str, Any], folder: Path | None) -> Sounds:
        del folder
        preprocess = manifest["preprocess"]
        if (
            len(manifest["inputs"]) != 1
            or not preprocess.get("seconds")
            or preprocess.get("layout", "mel_time") != "mel_time"
        ):
            raise TrainingError("this package does not take spectrograms [mel, time] of sounds of one length")
        return cls(preprocess, manifest["inputs"][0]["name"])

    @property
    def reading(self) -> dict[str, Any]:
        return {"rate": self.audio.sample_rate}

    def mismatch(self, values: np.ndarray, details: dict[str, Any]) -> str | None:
        if (rate := details["sample_rate"]) == self.audio.sample_rate:
            return None
        return f"sounds at {self.audio.sample_rate} Hz, these are at {rate}: omit --rate"

    def encode(self, values: np.ndarray) -> Inputs:
        spectrograms = [sounds.features(sounds.windows(samples, self.audio)[0][1], self.audio) for samples in values]
        return {self.input_name: torch.from_numpy(np.stack(spectrograms).astype(np.float32))[:, None]}

    def augmented(
        self, encoded: Inputs, indices: torch.Tensor, generator: torch.Generator, augmentation: Augmentation
    ) -> Inputs:
        """Shifted in time; bands of frequencies and spans of time masked (SpecAugment, Park et al. 2019)."""
        spectrograms = encoded[self.input_name][indices]
        if augmentation.time_shift:
            frames = round(augmentation.time_shift * self.audio.sample_rate / self.audio.hop_length)
            spectrograms = _shifted(spectrograms, frames, generator)
        for axis, most in ((2, augmentation.frequency_mask), (3, augmentation.time_mask)):
            if most:
                spectrograms = _masked(spectrograms, axis, most, generator)
        return {self.input_name: spectrograms}

    def features(self, values: np.ndarray) -> dict[str, np.ndarray]:
        return features.of_sounds(list(values), self.audio.sample_rate)


def _length(values: np.ndarray, rate: int) -> float:
    """Clip length in seconds, rounded up to a tenth: the 95th percentile. Longer sounds are cut at the end."""
    fitting = float(np.quantile([len(one) for one in values], 0.95)) / rate
    return min(LONGEST, max(0.1, math.ceil(fitting * 10) / 10))


def _shifted(spectrograms: torch.Tensor, most: int, random: torch.Generator) -> torch.Tensor:
    """By up to so many frames either way; what is moved in is each sound's quietest value."""
    frames = spectrograms.shape[3]
    by = torch.randint(-most, most + 1, (len(spectrograms), 1), generator=random)
    at = torch.arange(frames)[None] - by
    shifted = spectrograms.gather(3, at.clamp(0, frames - 1)[:, None, None].expand_as(spectrograms))
    outside = ((at < 0) | (at >= frames))[:, None, None]
    return torch.where(outside, spectrograms.amin((1, 2, 3), keepdim=True), shifted)


def _masked(spectrograms: torch.Tensor, axis: int, most: int, random: torch.Generator) -> torch.Tensor:
    """One band of up to `most` steps, set to the mean, which is zero."""
    length = spectrograms.shape[axis]
    wide = torch.randint(0, min(most, length) + 1, (len(spectrograms), 1), generator=random)
    start = (torch.rand(len(spectrograms), 1, generator=random) * (length - wide + 1)).long()
    at = torch.arange(length)[None]
    band = (at >= start) & (at < start + wide)
    return spectrograms.masked_fill(band[:, None, :, None] if axis == 2 else band[:, None, None, :], 0.0)
