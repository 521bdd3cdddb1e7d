"""Reads sounds with a class each, by the very code that decodes them in serving."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from shared.errors import AmaasError
from shared.serving.inputs import sounds as serving
from training.data import folders
from training.data.source import Item, Options, Report, Source, Split, every_class, objects, targets
from training.errors import TrainingError


def from_folder(root: Path, options: Options, report: Report) -> Source:
    """A folder of sound files per class. Raises TrainingError for an empty class, fewer than two classes."""
    labels, items = folders.items(root, "audio", report)
    return decoded(items, labels, options, report, folders.about(root, "sounds"))


def decoded(
    items: dict[str, list[Item]], labels: list[str], options: Options, report: Report, about: dict[str, Any]
) -> Source:
    """Sounds as samples of one channel, at options.rate (Hz) or the rate that most training files have."""
    rate = options.rate or _rate(items["train"])
    splits: dict[str, Split] = {}
    names: dict[str, list[str]] = {}
    for split, part in items.items():
        read = [(item, samples) for item in part if (samples := _samples(item, rate, report)) is not None]
        splits[split] = objects(samples for _, samples in read), targets(item.target for item, _ in read)
        names[split] = [item.name for item, _ in read]
    every_class(splits["train"][1], labels, "audio", "folder")
    return Source("audio", splits, labels, about, names, {"sample_rate": rate})


def _rate(items: list[Item]) -> int:
    import soundfile

    rates: Counter[int] = Counter()
    for item in items:
        try:
            rates[
                soundfile.info(io.BytesIO(item.body) if isinstance(item.body, bytes) else str(item.body)).samplerate
            ] += 1
        except (soundfile.SoundFileError, TypeError, ValueError, OSError):
            continue  # reported when it is decoded
    if not rates:
        raise TrainingError("there is no sound that can be read: use WAV, FLAC, OGG or MP3 files")
    return rates.most_common(1)[0][0]


def _samples(item: Item, rate: int, report: Report) -> np.ndarray | None:
    try:
        return serving.decode(item.read(), rate)
    except (AmaasError, OSError) as error:
        report.append({"item": item.name, "reason": "unreadable", "detail": str(error)[:200]})
        return None
