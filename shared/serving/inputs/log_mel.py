"""Sound as models of Whisper's form hear it: the logarithm of its mel spectrogram, in windows.

As OpenAI's whisper/audio.py and transformers' WhisperFeatureExtractor: 16 kHz, frames of 25 ms each 10 ms, mel filters
of Slaney's; of each number its decimal logarithm, no more than 8 below the largest one, then (x + 4) / 4.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from shared import budget
from shared.package import processing
from shared.serving.inputs import sound_files, sounds

SAMPLE_RATE, HOP = 16_000, 160  # Hz; samples from one frame to the next
FRAMES = SAMPLE_RATE // HOP  # of a second
RANGE = 8.0  # decades that are kept below the loudest


@cache
def _plan(mels: int) -> processing.Audio:
    """See sounds.features."""
    return processing.Audio(sample_rate=SAMPLE_RATE, features="mel", n_mels=mels, hop_length=HOP, log="log10")


def features(samples: np.ndarray, mels: int, seconds: float) -> np.ndarray:
    """Of a whole sound, with silence behind it: [mels, frames], of FP32.

    A sound of one window of so many seconds is filled up to that; a longer one has a window of silence behind it, so
    that one that begins anywhere in the sound is whole. Raises TooLarge.
    """
    window = round(seconds * SAMPLE_RATE)
    silence = window - len(samples) if len(samples) <= window else window
    length = len(samples) + silence
    budget.take(
        (length // HOP) * mels * 4 * sound_files.SAMPLE, f"the features of {length / SAMPLE_RATE:.0f} s of sound"
    )
    padded = np.pad(samples, (0, silence))
    logged = sounds.features(padded, _plan(mels))[:, : length // HOP]  # the last frame is beyond the end
    kept: np.ndarray = np.maximum(logged, logged.max() - np.float32(RANGE))
    return np.asarray((kept + np.float32(4)) / np.float32(4))
