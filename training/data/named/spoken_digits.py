"""The ten digits, spoken by eSpeak NG in many voices. Made here, not recorded: a data set to try things with.

The program is GPL-3+; what it says is not part of it, and belongs to whoever had it said.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from shared.serving.inputs import sounds as serving
from training.data import cache
from training.data.named import debian
from training.data.source import Report, Source, Split, objects
from training.errors import TrainingError

LABELS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
PACKAGE = "espeak-ng"
ABOUT = {
    "name": "Spoken digits",
    "licence": "CC0-1.0",
    "source": "spoken by eSpeak NG (GPL-3+, which does not extend to its output), Debian's package espeak-ng",
    "synthetic": True,
}
RATE = 8000  # Hz, as on the telephone
ACCENTS = ("en", "en-us", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbcwmd", "en-029")
VOICES = {
    "train": (
        "m1",
        "m2",
        "m3",
        "m4",
        "m5",
        "m6",
        "f1",
        "f2",
        "f3",
        "f4",
        "croak",
        "grandpa",
        "grandma",
        "Alex",
        "Andy",
        "Annie",
        "Denis",
        "Gene",
        "Jacky",
        "Lee",
        "linda",
        "steph",
        "boris",
        "ed",
        "klatt2",
    ),
    "test": ("m7", "m8", "f5", "Mario", "belinda", "robert", "klatt4"),
}
EACH = {"train": 10, "test": 7}  # times that a voice counts from zero to nine
SPEED, PITCH = (120, 220), (25, 75)  # words a minute; eSpeak's scale of 0 to 99
SILENCE = 0.15  # seconds before and after, at most
LONGEST = 0.99  # seconds
LEVEL = (0.15, 0.95)  # of the loudest sample
NOISE = (18.0, 45.0)  # decibels below the voice
PAUSE = 0.4  # seconds of silence that part two words; asked for is one second, within a word it is 0.06 at most
QUIET = 0.01  # of the loudest sample: what counts as silence


class Count(NamedTuple):
    """From zero to nine in one way of speaking."""

    voice: str
    speed: int
    pitch: int
    seed: int  # of silence, level and noise


def source(root: Path, report: Report) -> Source:
    """About 3,000 sounds of less than a second; the test split's voices are not in the training split.

    Raises TrainingError when eSpeak NG is neither installed nor to be fetched.
    """
    file = root / "spoken-digits.npz"
    if not file.is_file():
        _make(file)
    splits: dict[str, Split] = {}
    with np.load(file, allow_pickle=False) as held:
        for split in VOICES:
            parts = np.split(held[f"{split}.samples"], np.cumsum(held[f"{split}.lengths"])[:-1])
            splits[split] = objects(part.astype(np.float32) / 32768 for part in parts), held[f"{split}.labels"]
    return Source("audio", splits, LABELS, ABOUT, {}, {"sample_rate": RATE})


def _make(file: Path) -> None:
    arrays: dict[str, np.ndarray] = {}
    with program() as (command, environment), ThreadPoolExecutor(2) as pool:
        print(f"{PACKAGE} speaks ten digits in {sum(map(len, VOICES.values()))} voices into {file}")
        for split in VOICES:
            spoken = [
                word for words in pool.map(lambda one: say(one, command, environment), counts(split)) for word in words
            ]
            arrays[f"{split}.samples"] = np.concatenate(spoken)
            arrays[f"{split}.lengths"] = np.array([len(samples) for samples in spoken])
            arrays[f"{split}.labels"] = np.arange(len(spoken)) % len(LABELS)
    with cache.beside(file) as folder:
        np.savez(folder / file.name, allow_pickle=False, **arrays)
        cache.publish(folder / file.name, file)


@contextmanager
def program() -> Iterator[tuple[list[str], dict[str, str] | None]]:
    """eSpeak NG's command and its environment: as it is installed, or out of Debian's packages for this once."""
    if installed := shutil.which(PACKAGE):
        yield [installed], None
        return
    needed = debian.missing_for(PACKAGE) if shutil.which("apt-get") else [PACKAGE]
    with debian.unpacked(needed) as content:
        if content is None:
            raise TrainingError(
                f"the digits are spoken by {PACKAGE}, which is not here and could not be fetched: install it"
            )
        voices = next(iter(sorted(content.glob("usr/lib/*/espeak-ng-data")))).parent
        yield [str(content / "usr/bin" / PACKAGE), f"--path={voices}"], debian.environment(content)


def counts(split: str) -> list[Count]:
    """Who is to speak, and how; the same on each machine."""
    random = np.random.default_rng(list(VOICES).index(split))
    return [
        Count(
            f"{random.choice(ACCENTS)}+{voice}",
            int(random.integers(*SPEED)),
            int(random.integers(*PITCH)),
            int(random.integers(2**31)),
        )
        for voice in VOICES[split]
        for _ in range(EACH[split])
    ]


def say(one: Count, command: list[str], environment: dict[str, str] | None) -> list[np.ndarray]:
    """Ten words at RATE, int16. Raises TrainingError when there are not ten."""
    options = ["-m", "-v", one.voice, "-s", str(one.speed), "-p", str(one.pitch), "--stdout"]
    text = ' <break time="1s"/> '.join(LABELS)
    done = subprocess.run([*command, *options, text], env=environment, capture_output=True, check=False)
    words = _words(done.stdout)
    if done.returncode or len(words) != len(LABELS):
        reason = done.stderr.decode(errors="replace").strip()[:200] or f"exit code {done.returncode}"
        raise TrainingError(f"{PACKAGE} says {len(words)} words of ten with the voice {one.voice}: {reason}")
    random = np.random.default_rng(one.seed)
    return [_recorded(word, random) for word in words]


def _words(wave: bytes) -> list[np.ndarray]:
    """What is between the pauses, at RATE, in -1..1. No WAV reader takes it: in a pipe the file knows no length."""
    head = wave.find(b"data") + 8
    if head < 8:
        return []
    samples = np.frombuffer(wave[head : head + (len(wave) - head) // 2 * 2], "<i2") / 32768
    samples = serving.resample(samples, int.from_bytes(wave[24:28], "little"), RATE)
    loud = np.flatnonzero(np.abs(samples) > QUIET * np.abs(samples).max(initial=0))
    parts = np.split(loud, np.flatnonzero(np.diff(loud) > PAUSE * RATE) + 1)
    return [samples[part[0] : part[-1] + 1] for part in parts if len(part)]


def _recorded(word: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """As if by somebody's microphone: at some level, with silence around, and noise."""
    before, after = (random.uniform(0, SILENCE, 2) * RATE).astype(int)
    level, noise = random.uniform(*LEVEL), random.uniform(*NOISE)
    placed = np.pad(word * (level / np.abs(word).max()), (before, after))[: round(LONGEST * RATE)]
    loudness = np.sqrt(np.mean(placed**2)) * 10 ** (-noise / 20)
    noisy = placed + random.normal(0, loudness, len(placed))
    return np.asarray(np.clip(np.rint(noisy * 32767), -32768, 32767), np.int16)
