"""Sentences, spoken, by eSpeak NG (GPL-3, package espeakng-loader), for examples and tests: nothing of it ships."""

from __future__ import annotations

import ctypes
import wave
from pathlib import Path

import espeakng_loader
import numpy as np
import soxr

RATE = 16_000  # Hz
SYNCHRONOUS, UTF8 = 2, 1
Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


def speak(sentences: list[str], voice: str = "en") -> list[np.ndarray]:
    """Samples of each sentence in -1..1, float32, at RATE."""
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    rate = library.espeak_Initialize(SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), 0)
    parts: list[np.ndarray] = []

    @Callback
    def keep(samples: ctypes._Pointer[ctypes.c_short], count: int, _: int) -> int:
        if count > 0:
            parts.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    library.espeak_SetSynthCallback(keep)
    assert library.espeak_SetVoiceByName(voice.encode()) == 0, f"there is no voice {voice}"
    spoken = []
    for sentence in sentences:
        parts.clear()
        text = sentence.encode()
        library.espeak_Synth(text, len(text) + 1, 0, 0, 0, UTF8, None, None)
        samples = np.concatenate(parts).astype(np.float32) / 32768
        spoken.append(np.asarray(soxr.resample(samples, rate, RATE), np.float32))
    library.espeak_Terminate()
    return spoken


def write(path: Path, samples: np.ndarray) -> Path:
    """A WAV file of 16 bits. samples: as `speak` has them. Returns the path."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return path
