"""Training with a teacher beside the labels: who taught is told, its inputs are taken, other teachers are refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from training import teacher as teachers
from training import train
from training.errors import TrainingError
from training.kinds import choose as kinds

from .conftest import Run
from .test_kinds import QUICK, chosen, texts


def described(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "amaas.json").read_text())


def test_a_student_learns_from_answers_to_its_own_augmented_images(
    folder: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(folder, tmp_path / "teacher") == 0
    asked: list[Any] = []
    real = teachers.PackageTeacher.logits

    def spy(self: Any, inputs: dict[str, Any]) -> Any:
        asked.append(inputs["image"])
        return real(self, inputs)

    monkeypatch.setattr(teachers.PackageTeacher, "logits", spy)
    small = ["--model", "quick-cnn", "--widths", "8", "8", "8", "--teacher", str(tmp_path / "teacher")]
    # nothing is learned from labels: what it knows, the teacher told
    assert run(folder, tmp_path / "out", *small, "--teacher-share", "0.999", "--temperature", "1") == 0
    student, master = described(tmp_path / "out"), described(tmp_path / "teacher")
    assert student["lineage"]["step"] == "distil"
    assert student["lineage"]["details"]["teacher"].startswith("set@sha256:")
    assert student["preprocess"] == master["preprocess"]
    assert student["metrics"]["test_accuracy"] > 0.9
    assert len(asked) == 6 * 5 and asked[0].shape == (16, 1, 12, 12)


def test_a_student_of_texts_reads_with_its_teachers_tokenizer(tmp_path: Path) -> None:
    source = str(texts(tmp_path))
    master, out = tmp_path / "teacher", tmp_path / "out"
    small = ["--hidden", "16", "--embedding", "16", "--lr", "0.01"]
    assert train.main(["--data", source, "--out", str(master), *QUICK, *small, "--layers", "1", "--epochs", "3"]) == 0
    more = ["--model", "gru", "--teacher", str(master), "--vocabulary", "300", "--epochs", "2"]
    assert train.main(["--data", source, "--out", str(out), *QUICK, *small, *more]) == 0
    assert (out / "tokenizer.json").read_bytes() == (master / "tokenizer.json").read_bytes()
    assert described(out)["preprocess"] == described(master)["preprocess"]


def renamed(master: Path, direction: str) -> None:
    """The tokenizer as another file, which pads on this side."""
    rules = json.loads((master / "tokenizer.json").read_text())
    pad = {"strategy": "BatchLongest", "direction": direction, "pad_to_multiple_of": None}
    rules["padding"] = pad | {"pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"}
    (master / "tokenizer.json").unlink(missing_ok=True)
    (master / "tok.json").write_text(json.dumps(rules))
    told = described(master)
    (master / "amaas.json").write_text(
        json.dumps(told | {"preprocess": told["preprocess"] | {"tokenizer": "tok.json"}})
    )


def test_a_tokenizer_of_another_name_comes_along_and_one_that_pads_on_the_left_is_refused(tmp_path: Path) -> None:
    values = np.array(["one", "one two three four five six"] * 10, object)
    made = kinds.fit(values, "text", {}, chosen("--vocabulary", "300").preparation)
    master = tmp_path / "teacher"
    master.mkdir()
    (master / "tokenizer.json").write_bytes(made.files["tokenizer.json"])
    told = {"task": made.task, "inputs": made.tensors, "preprocess": made.preprocess}
    (master / "amaas.json").write_text(json.dumps(told))
    renamed(master, "Right")
    kind = kinds.declared(described(master), master)
    assert set(kind.files) == {kind.preprocess["tokenizer"]}
    (master / "tok.json").rename(master / "tokenizer.json")
    renamed(master, "Left")
    with pytest.raises(
        TrainingError, match=r"pads on the left \(padding.direction in tok.json\).* give a package whose"
    ):
        kinds.declared(described(master), master)


def test_files_are_read_as_the_teacher_takes_them_and_what_cannot_be_is_refused(
    folder: Path, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, tmp_path / "teacher", "--epochs", "1") == 0
    for path in folder.rglob("*.png"):
        Image.open(path).resize((24, 20)).save(path)
    taught = ["--epochs", "1", "--teacher", str(tmp_path / "teacher")]
    assert run(folder, tmp_path / "out", *taught) == 0
    assert described(tmp_path / "out")["inputs"] == described(tmp_path / "teacher")["inputs"]
    assert described(tmp_path / "out")["dataset"]["read"] == {"size": [12, 12]}  # so that a later step finds the same
    capsys.readouterr()
    assert run(folder, tmp_path / "other", *taught, "--size", "20", "24") == 1
    assert (
        "takes images of 12x12 with 1 channels, these are of 20x24 with 1: omit --size, or give another --teacher"
    ) in capsys.readouterr().err


def test_a_teacher_with_other_labels_or_other_data_is_refused(
    folder: Path, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, tmp_path / "teacher", "--epochs", "1") == 0
    other = shutil.copytree(tmp_path / "teacher", tmp_path / "other")
    (other / "amaas.json").write_text(json.dumps(described(other) | {"labels": ["right", "left"]}))
    assert run(folder, tmp_path / "out", "--teacher", str(other)) == 1
    assert "a teacher must have the same, in the same order" in capsys.readouterr().err
    (other / "amaas.json").write_text(json.dumps(described(tmp_path / "teacher") | {"labels": ["north", "south"]}))
    source = str(texts(tmp_path))
    assert train.main(["--data", source, "--out", str(tmp_path / "out"), *QUICK, "--teacher", str(other)]) == 1
    assert "the teacher takes data of the kind image, these are text" in capsys.readouterr().err
    assert not (tmp_path / "out" / "model.onnx").exists()
