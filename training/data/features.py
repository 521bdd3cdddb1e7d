"""Cheap numbers that tell items apart or together: for look-alikes (near.py) and doubtful labels (outliers.py)."""

from __future__ import annotations

import numpy as np

from shared.package import processing
from shared.serving.inputs import sounds as serving

FRAME = 0.032  # seconds


def thumbnails(images: np.ndarray, side: int, *, gray: bool = True) -> np.ndarray:
    """Images [N, H, W, C] as brightness of side x side fields, [N, fields] FP32; by channel where gray is False."""
    values = images.mean(3, keepdims=True, dtype=np.float32) if gray and images.shape[3] > 1 else images
    for axis in (1, 2):
        length = values.shape[axis]
        edges = np.arange(min(side, length)) * length // min(side, length)
        shape = [1] * 4
        shape[axis] = -1
        sums = np.add.reduceat(values, edges, axis=axis, dtype=np.float32)
        values = sums / np.diff([*edges, length]).reshape(shape).astype(np.float32)
    return values.reshape(len(values), -1)


def mel(samples: np.ndarray, sample_rate: int, bands: int) -> np.ndarray:
    """Logarithmic mel energies [bands, frames] of one sound, by the code that serves."""
    n_fft = 2 ** round(np.log2(FRAME * sample_rate))
    plan = processing.Audio(
        sample_rate=sample_rate, features="mel", n_fft=n_fft, hop_length=n_fft // 2, n_mels=bands, log="ln", floor=1e-6
    )
    return serving.features(np.pad(samples, (0, max(0, n_fft - len(samples)))), plan)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of mean 0 and length 1, so that their products are correlations; rows of one value stay 0."""
    centered = np.asarray(vectors - vectors.mean(1, keepdims=True), np.float32)
    lengths = np.linalg.norm(centered, axis=1, keepdims=True)
    units: np.ndarray = np.divide(centered, lengths, out=np.zeros_like(centered), where=lengths > 1e-6)
    return units
