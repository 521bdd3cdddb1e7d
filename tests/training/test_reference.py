"""What of a data set the reference describes: enough items, and none that would tell more or less than it seems."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.training.test_kinds import chosen
from training import renew_reference
from training.data.dataset import Dataset
from training.kinds.texts import Texts
from training.report.reference import ENOUGH, reference

from .conftest import Run

LABELS = ["short", "long"]


def texts(count: int, word: str) -> tuple[np.ndarray, np.ndarray]:
    return np.array([f"{word} {'x' * (number % 7)}" for number in range(count)], object), np.arange(count) % 2


def described(validation: int, *, private: bool = False) -> dict[str, Any]:
    train, unseen = texts(80, "often"), texts(validation, "шесть")
    data = Dataset(train, unseen, texts(12, "often"), LABELS, {}, kind="text")
    kind = Texts.fit(train[0], {}, chosen().preparation)
    return reference(lambda values: np.zeros((len(values), len(LABELS))), data, kind, private=private)


@pytest.mark.parametrize(("validation", "private", "items"), [(10, False, 90), (10, True, 10), (ENOUGH, False, ENOUGH)])
def test_a_small_validation_split_is_described_with_the_training_split(
    validation: int, private: bool, items: int
) -> None:
    features = described(validation, private=private)["features"]
    assert sum(features["characters"]["counts"]) == items
    assert sum(features["script"]["counts"]) + features["script"]["other"] == items


def test_what_was_fitted_to_the_training_split_is_of_the_validation_split() -> None:
    unknown = described(10)["features"]["unknown_tokens"]
    assert sum(unknown["counts"]) == 10
    assert unknown["counts"][0] == 0, "each of these has a token that the vocabulary lacks"
    assert isinstance(unknown["token"], int)


def test_scores_are_of_items_that_were_not_trained_on() -> None:
    scores = described(10)["scores"]
    assert sum(scores["top"]["counts"]) == sum(scores["labels"].values()) == 10
    assert sum(scores["calibration"]["counts"]) == 12


def test_it_is_made_anew_of_the_data_that_a_package_was_trained_on(folder: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "out"
    assert run(folder, out) == 0
    before, model = json.loads((out / "amaas.json").read_text()), (out / "model.onnx").read_bytes()
    (out / "amaas.json").write_text(json.dumps({name: of for name, of in before.items() if name != "reference"}))
    assert renew_reference.main([str(out), "--data", str(folder)]) == 0
    assert json.loads((out / "amaas.json").read_text()) == before
    assert (out / "model.onnx").read_bytes() == model


def test_with_other_data_nothing_is_made(
    folder: Path, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(folder, out) == 0
    before = (out / "amaas.json").read_text()
    next(folder.rglob("*.png")).unlink()
    assert renew_reference.main([str(out), "--data", str(folder)]) == 1
    assert "trained on" in capsys.readouterr().err
    assert (out / "amaas.json").read_text() == before
