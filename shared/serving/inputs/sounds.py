"""Sound → tensors: decoding, mixing to one channel, resampling, cutting, spectrograms and mel features.

Resampling is soxr's "HQ", spectrograms and mel filters are defined as in librosa (Slaney's Auditory Toolbox,
HTK): equal parameters give equal numbers within 1e-4 (tests/serving/test_sounds.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from shared import budget
from shared.errors import BadInput, TooLarge
from shared.package import processing
from shared.package.manifest import Tensor
from shared.runtime.arrays import DTYPES
from shared.serving.inputs import sound_files
from shared.serving.inputs.sound_files import SAMPLE
from shared.serving.loaded import Loaded

MAX_WINDOWS = 10_000
MAX_IN_FRAMES = 60_000_000  # samples in all frames of a transform, which overlap
AT_ONCE = 4_000_000  # of these, that are transformed at a time: 100 MB
CELL = 40  # bytes of a number of a spectrogram while it is made


def signature(loaded: Loaded) -> tuple[Tensor, processing.Audio]:
    """The model's sound input and how it is made. Raises BadInput for a model without one."""
    inputs, plan = loaded.manifest.inputs, loaded.manifest.preprocess
    if len(inputs) != 1 or inputs[0].datatype not in ("FP32", "FP16", "FP64"):
        raise BadInput(
            f"model {loaded.name!r} does not take one batch of sounds: POST tensors to /v2/models/{loaded.name}/infer"
        )
    return inputs[0], plan if isinstance(plan, processing.Audio) else processing.Audio()


def decode(body: bytes, sample_rate: int) -> np.ndarray:
    """Encoded bytes (WAV, FLAC, OGG, MP3) as samples of one channel in -1..1 at sample_rate (Hz), FP32.

    All are finite. Raises BadInput, TooLarge, Unsupported.
    """
    mono, rate = sound_files.read(body, sample_rate)
    if len(mono) and rate != sample_rate:
        resampled = len(mono) * sample_rate // rate
        budget.take(2 * SAMPLE * resampled, f"the sound of {len(mono):,} samples, at {sample_rate:,} Hz,")
        mono = resample(mono, rate, sample_rate)  # of a few samples, none may be left
    if not len(mono):
        raise BadInput(f"the sound is empty: it has no samples at the model's {sample_rate:,} Hz")
    if not np.isfinite(mono).all():
        raise BadInput("the sound's samples are too large to be mixed and resampled in FP32: save it with -1 to 1")
    return mono


def resample(samples: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    import soxr

    return np.asarray(soxr.resample(samples, rate, new_rate, quality="HQ"), np.float32)


def windows(samples: np.ndarray, plan: processing.Audio) -> list[tuple[float, np.ndarray]]:
    """What the model hears at once, each with its start in seconds: all of it, or parts of one length."""
    if plan.seconds is None:
        return [(0.0, samples)]
    length = round(plan.seconds * plan.sample_rate)
    step = round((plan.hop or 0) * plan.sample_rate)
    if len(samples) < length:
        budget.take(SAMPLE * length, f"a sound of {plan.seconds} s")
        return [(0.0, np.pad(samples, (0, length - len(samples))))]
    starts = range(0, len(samples) - length + 1, step) if step else range(1)
    if len(starts) > MAX_WINDOWS:
        raise TooLarge(
            f"the sound has {len(starts):,} parts of {plan.seconds} s, one call takes at most {MAX_WINDOWS:,}: "
            "send a part of it"
        )
    return [(start / plan.sample_rate, samples[start : start + length]) for start in starts]


def feeds(tensor: Tensor, plan: processing.Audio, parts: list[np.ndarray]) -> dict[str, np.ndarray]:
    """The model's input for sounds of equal length: [N, T], [N, mel, T] and so on, with axes of 1 as the model has.

    Raises TooLarge; `part_bytes` says how many go at once.
    """
    budget.take(len(parts) * part_bytes(len(parts[0]), tensor, plan), f"a tensor of {len(parts)} sounds")
    values = np.stack([features(part, plan) for part in parts])
    while values.ndim < len(tensor.shape):
        values = values[:, None]
    if values.ndim != len(tensor.shape):
        raise BadInput(f"{plan.features} gives {values.ndim} axes, the model's input has shape {tensor.shape}")
    with np.errstate(over="ignore"):
        numbers = np.ascontiguousarray(values, DTYPES[tensor.datatype])
    if not np.isfinite(numbers).all():
        raise BadInput(
            f"the sound is too loud: its {plan.features} has numbers that {tensor.datatype} does not; save it with "
            "samples of -1 to 1"
        )
    return {tensor.name: numbers}


def part_bytes(samples: int, tensor: Tensor, plan: processing.Audio) -> int:
    """That a sound of so many samples takes while it is made into numbers, with a copy for a model behind the wall."""
    copies = SAMPLE + 2 * DTYPES[tensor.datatype].itemsize
    if plan.features == "waveform":
        return samples * (2 * SAMPLE + copies)
    bins = plan.n_mels if plan.features == "mel" else plan.n_fft // 2 + 1
    return (1 + samples // plan.hop_length) * bins * (CELL + copies) + 2 * SAMPLE * samples


def features(samples: np.ndarray, plan: processing.Audio) -> np.ndarray:
    """The waveform [T], or the spectrogram or mel features [bins, frames] or [frames, bins] of samples."""
    if plan.features == "waveform":
        return np.asarray((samples - np.float32(plan.mean)) / np.float32(plan.std))
    f_max = plan.f_max or plan.sample_rate / 2
    blocks: list[np.ndarray] = []
    for block in _short_time_fourier(samples, plan):
        spectrum = np.abs(block) ** plan.power
        if plan.features == "mel":
            filters = mel_filters(plan.sample_rate, plan.n_fft, plan.n_mels, plan.f_min, f_max, plan.scale, plan.norm)
            spectrum = filters @ spectrum
        blocks.append(spectrum)
    spectrum = blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=1)
    logged = (_log(spectrum, plan) - plan.mean) / plan.std
    return (logged if plan.layout == "mel_time" else logged.T).astype(np.float32)


def _short_time_fourier(samples: np.ndarray, plan: processing.Audio) -> Iterator[np.ndarray]:
    """The short-time Fourier transform, [1 + n_fft // 2, frames], in blocks of frames: one takes ten times as much."""
    if plan.center:
        if plan.pad_mode == "reflect" and len(samples) <= plan.n_fft // 2:
            raise BadInput(f"the sound has {len(samples)} samples, too few for frames of {plan.n_fft}")
        samples = np.pad(samples, plan.n_fft // 2, mode=plan.pad_mode)
    if len(samples) < plan.n_fft:
        raise BadInput(f"the sound has {len(samples)} samples, too few for frames of {plan.n_fft}")
    if (len(samples) - plan.n_fft) // plan.hop_length * plan.n_fft > MAX_IN_FRAMES:
        raise TooLarge(f"the sound has {len(samples):,} samples, too many for this model's features; send a part of it")
    frames = np.lib.stride_tricks.sliding_window_view(samples, plan.n_fft)[:: plan.hop_length]
    window, step = _window(plan.n_fft, plan.win_length or plan.n_fft), max(1, AT_ONCE // plan.n_fft)
    for start in range(0, len(frames), step):
        budget.check_time("the sound was transformed")
        yield np.asarray(np.fft.rfft(frames[start : start + step] * window, axis=1).T)


def _window(n_fft: int, length: int) -> np.ndarray:
    """A periodic Hann window, centered in the frame."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    before = (n_fft - length) // 2
    return np.pad(hann, (before, n_fft - length - before))


def _log(values: np.ndarray, plan: processing.Audio) -> np.ndarray:
    if plan.log == "none":
        return values
    clipped = np.maximum(values, plan.floor)
    if plan.log == "ln":
        return np.asarray(np.log(clipped))
    if plan.log == "log10":
        return np.asarray(np.log10(clipped))
    decibels = np.asarray(10.0 * np.log10(clipped))
    return decibels if plan.top_db is None else np.maximum(decibels, decibels.max() - plan.top_db)


@lru_cache(maxsize=8)
def mel_filters(
    sample_rate: int, n_fft: int, n_mels: int, f_min: float, f_max: float, scale: str, norm: str
) -> np.ndarray:
    """Triangular filters on the mel scale, [n_mels, 1 + n_fft // 2]."""
    bins = np.linspace(0, sample_rate / 2, 1 + n_fft // 2)
    ends = _to_mel(np.array([f_min, f_max]), scale)
    corners = _to_hertz(np.linspace(ends[0], ends[1], n_mels + 2), scale)
    lower, peak, upper = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    rising, falling = (bins - lower) / (peak - lower), (upper - bins) / (upper - peak)
    triangles = np.maximum(0, np.minimum(rising, falling))
    return np.asarray(triangles * 2 / (upper - lower)) if norm == "slaney" else np.asarray(triangles)


def _to_mel(hertz: np.ndarray, scale: str) -> np.ndarray:
    """Slaney: 3 mel per 200 Hz up to 1000 Hz, then 27 mel for a factor of 6.4. HTK: 2595 log10(1 + f / 700)."""
    if scale == "htk":
        return np.asarray(2595.0 * np.log10(1.0 + hertz / 700.0))
    above = 15.0 + 27.0 * np.log(np.maximum(hertz, 1000.0) / 1000.0) / np.log(6.4)
    return np.where(hertz < 1000.0, hertz * 3 / 200.0, above)


def _to_hertz(mel: np.ndarray, scale: str) -> np.ndarray:
    if scale == "htk":
        return np.asarray(700.0 * (10.0 ** (mel / 2595.0) - 1.0))
    above = 1000.0 * np.exp(np.log(6.4) * (np.maximum(mel, 15.0) - 15.0) / 27.0)
    return np.where(mel < 15.0, mel * 200.0 / 3, above)
