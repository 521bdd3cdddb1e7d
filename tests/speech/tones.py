"""Sounds that need no file: tones that glide, and noise."""

from __future__ import annotations

import numpy as np

RATE = 16_000  # Hz


def tones(seconds: float, seed: int = 0) -> np.ndarray:
    """Samples in -1..1, float32: a voice-like stack of gliding tones, in syllables, with noise beside them."""
    random = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    pitch = 120 + 40 * np.sin(2 * np.pi * 1.3 * time) + 10 * random.random()
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    stack = np.sum([np.sin(number * phase) / number for number in range(1, 12)], axis=0)
    syllables = np.clip(np.sin(2 * np.pi * 3 * time), 0, 1)
    return np.asarray(0.2 * stack * syllables + 0.003 * random.normal(size=len(time)), np.float32)
