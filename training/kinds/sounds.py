"""Sound: mel spectrograms, made by the code that serves; computed once, since that is what takes the time."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from shared.package import processing
from shared.serving.inputs import sounds
from training.errors import TrainingError
from training.kinds import Inputs
from training.kinds.single import OneInput

MELS = 40
FRAME, HOP = 0.032, 0.010  # seconds
TOP_DB = 80.0
LONGEST = 600.0  # seconds that the service hears at once


class Sounds(OneInput):
    """Samples in -1..1 of one channel as decibels of mel bands [N, 1, mel, frames], with the mean 0 and deviation 1."""

    name, task = "audio", "audio-classification"

    def __init__(self, plan: dict[str, Any], put: str = "sound") -> None:
        self.plan, self.put, self.files = plan, put, dict[str, bytes]()
        self.audio = processing.Audio(**{field: value for field, value in plan.items() if field != "kind"})
        rate, seconds = self.audio.sample_rate, float(plan["seconds"])
        self.shape = (1, *sounds.features(np.zeros(round(rate * seconds), np.float32), self.audio).shape)
        self.described = f"sounds of {seconds:g} s as {self.shape[1]} mel bands by {self.shape[2]} frames"

    @classmethod
    def fit(cls, values: np.ndarray, details: dict[str, Any], s: argparse.Namespace) -> Sounds:
        rate = int(details["sample_rate"])
        n_fft = 2 ** round(math.log2(rate * FRAME))
        plan = {
            "kind": "audio", "sample_rate": rate, "seconds": s.seconds or _length(values, rate), "features": "mel",
            "n_fft": n_fft, "hop_length": round(rate * HOP), "n_mels": MELS, "log": "db", "top_db": TOP_DB,
        }  # fmt: skip
        heard = cls(plan).stored(values)["sound"]
        return cls(plan | {"mean": round(float(heard.mean()), 4), "std": round(float(heard.std()), 4) or 1.0})

    @classmethod
    def declared(cls, manifest: dict[str, Any], folder: Path | None) -> Sounds:
        del folder
        plan = manifest["preprocess"]
        if len(manifest["inputs"]) != 1 or not plan.get("seconds") or plan.get("layout", "mel_time") != "mel_time":
            raise TrainingError("this package does not take spectrograms [mel, time] of sounds of one length")
        return cls(plan, manifest["inputs"][0]["name"])

    @property
    def reading(self) -> dict[str, Any]:
        return {"rate": self.audio.sample_rate}

    def unlike(self, values: np.ndarray, details: dict[str, Any]) -> str | None:
        if (rate := details["sample_rate"]) == self.audio.sample_rate:
            return None
        return f"sounds at {self.audio.sample_rate} Hz, these are at {rate}: leave --rate away"

    def stored(self, values: np.ndarray) -> Inputs:
        made = [sounds.features(sounds.windows(samples, self.audio)[0][1], self.audio) for samples in values]
        return {self.put: torch.from_numpy(np.stack(made).astype(np.float32))[:, None]}

    def augmented(self, stored: Inputs, picked: torch.Tensor, random: torch.Generator, s: argparse.Namespace) -> Inputs:
        """Shifted in time; bands of frequencies and spans of time masked (SpecAugment, Park et al. 2019)."""
        made = stored[self.put][picked]
        if s.time_shift:
            frames = round(s.time_shift * self.audio.sample_rate / self.audio.hop_length)
            made = _shifted(made, frames, random)
        for axis, most in ((2, s.frequency_mask), (3, s.time_mask)):
            if most:
                made = _masked(made, axis, most, random)
        return {self.put: made}

    def features(self, values: np.ndarray) -> dict[str, np.ndarray]:
        rate = self.audio.sample_rate
        loud = [20 * math.log10(max(float(np.sqrt(np.mean(np.square(one)))), 1e-5)) for one in values]
        return {"loudness_db": np.array(loud), "seconds": np.array([len(one) / rate for one in values])}


def _length(values: np.ndarray, rate: int) -> float:
    """Seconds, to a tenth, in which 95 of 100 sounds fit; of longer ones the start is heard."""
    fitting = float(np.quantile([len(one) for one in values], 0.95)) / rate
    return min(LONGEST, max(0.1, math.ceil(fitting * 10) / 10))


def _shifted(made: torch.Tensor, most: int, random: torch.Generator) -> torch.Tensor:
    """By up to so many frames either way; what is moved in is each sound's quietest value."""
    frames = made.shape[3]
    by = torch.randint(-most, most + 1, (len(made), 1), generator=random)
    at = torch.arange(frames)[None] - by
    picked = made.gather(3, at.clamp(0, frames - 1)[:, None, None].expand_as(made))
    outside = ((at < 0) | (at >= frames))[:, None, None]
    return torch.where(outside, made.amin((1, 2, 3), keepdim=True), picked)


def _masked(made: torch.Tensor, axis: int, most: int, random: torch.Generator) -> torch.Tensor:
    """One band of up to `most` steps, set to the mean, which is zero."""
    length = made.shape[axis]
    wide = torch.randint(0, min(most, length) + 1, (len(made), 1), generator=random)
    start = (torch.rand(len(made), 1, generator=random) * (length - wide + 1)).long()
    at = torch.arange(length)[None]
    band = (at >= start) & (at < start + wide)
    return made.masked_fill(band[:, None, :, None] if axis == 2 else band[:, None, None, :], 0.0)
