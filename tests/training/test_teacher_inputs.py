"""Data is read and prepared as the teacher takes it; what cannot be is refused."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from training.data import dataset as data
from training.data.dataset import Dataset
from training.errors import TrainingError
from training.kinds import choose as kinds
from training.kinds.kind import Kind

from .test_kinds import chosen, sounds, table, texts


def master(kind: Kind) -> Any:
    """A teacher, as far as its preparation goes."""
    told = {"task": kind.task, "inputs": kind.tensors, "preprocess": kind.preprocess}
    return SimpleNamespace(manifest=told, folder=None, reference="master@1")


def matching(teacher: Any, data: Dataset) -> Kind:
    return kinds.matching(teacher.manifest, teacher.folder, teacher.reference, data)


def test_sounds_are_read_at_the_rate_of_the_teacher(tmp_path: Path) -> None:
    """Samples at 16 kHz were taken for samples at 8 kHz, which is an octave lower."""
    slow = data.load(str(sounds(tmp_path)), tmp_path, seed=0)
    teacher = master(kinds.fit(slow.train[0], "audio", slow.details, chosen().preparation))
    for path in (tmp_path / "tones").rglob("*.wav"):
        soundfile.write(path, np.repeat(soundfile.read(path)[0], 2), 16000)
    fast = data.load(str(tmp_path / "tones"), tmp_path, seed=0)
    with pytest.raises(TrainingError, match="master@1 takes sounds at 8000 Hz, these are at 16000: omit --rate"):
        matching(teacher, fast)
    read = data.load(str(tmp_path / "tones"), tmp_path, seed=0, usual=kinds.reading(teacher.manifest, teacher.folder))
    assert matching(teacher, read).preprocess == teacher.manifest["preprocess"]
    assert read.details["sample_rate"] == 8000 and len(read.train[0][0]) * 2 == len(fast.train[0][0])


def test_images_of_another_size_or_in_colors_are_not_what_the_teacher_takes(folder: Path, tmp_path: Path) -> None:
    gray = data.load(str(folder), tmp_path, seed=0, size=(28, 28))
    teacher = master(kinds.fit(gray.train[0], "image", {}, chosen().preparation))
    assert kinds.reading(teacher.manifest, teacher.folder) == {"size": (28, 28)}
    for path in folder.rglob("*.png"):
        Image.open(path).convert("RGB").resize((64, 64)).save(path)
    with pytest.raises(
        TrainingError, match="of 28x28 with 1 channels, these are of 64x64 with 3: save them in the same"
    ):
        matching(teacher, data.load(str(folder), tmp_path, seed=0))
    assert data.load(str(folder), tmp_path, seed=0, usual={"size": (28, 28)}).train[0].shape[1:] == (28, 28, 3)
    assert data.load(str(folder), tmp_path, seed=0, usual={"size": (28, 28)}, size=(9, 9)).train[0].shape[1] == 9
    assert data.load(str(texts(tmp_path)), tmp_path, seed=0, usual={"size": (28, 28)}).kind == "text"
    assert data.load("wine", tmp_path, seed=0, usual={"size": (28, 28)}).kind == "table"


def test_rows_with_other_columns_are_not_what_the_teacher_takes(tmp_path: Path) -> None:
    """A column that is not there was taken for one of gaps only."""
    loaded = data.load(str(table(tmp_path)), tmp_path, seed=0)
    teacher = master(kinds.fit(loaded.train[0], "table", loaded.details, chosen("--no-reference-rows").preparation))
    assert matching(teacher, loaded).preprocess == teacher.manifest["preprocess"]
    body = (tmp_path / "loans.csv").read_text()
    numbered = body.replace("full", "1").replace("part", "2").replace("none", "3")
    for other, message in (
        (body.replace("income", "salary"), "these have no income, besides salary: give the same columns"),
        (numbered, "takes job as category, these have another type there"),
    ):
        (tmp_path / "loans.csv").write_text(other)
        with pytest.raises(TrainingError, match=message):
            matching(teacher, data.load(str(tmp_path / "loans.csv"), tmp_path, seed=0))
