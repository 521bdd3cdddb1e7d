"""Figures of a classifier against hand counts and scikit-learn's; what a run took; privacy that is counted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from training import quality
from training.footprint import Footprint

from .conftest import Run


def test_per_class_figures_are_scikit_learns() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, 500)
    logits = random.standard_normal((500, 4)) + 1.5 * np.eye(4)[labels]
    found = quality.measured(logits, labels, list("abcd"))
    precision, recall, f1, count = precision_recall_fscore_support(labels, logits.argmax(1))
    for k, name in enumerate("abcd"):
        assert found["classes"][name] == {
            "count": count[k], "recall": round(recall[k], 4), "precision": round(precision[k], 4), "f1": round(f1[k], 4)
        }  # fmt: skip
    assert found["macro_f1"] == pytest.approx(f1.mean(), abs=1e-4)
    counts = quality.confusion(logits, labels)
    assert counts.sum() == 500 and counts.trace() / 500 == found["accuracy"]
    assert counts[1, 2] == ((labels == 1) & (logits.argmax(1) == 2)).sum()


def test_calibration_error_is_what_the_scores_promise_too_much() -> None:
    scores = np.array([[0.95, 0.05]] * 100)
    labels = np.array([0] * 70 + [1] * 30)
    found = quality.calibration(scores, labels)
    assert found["error"] == pytest.approx(0.25)
    assert found["bins"] == [{"score": pytest.approx(0.95), "accuracy": 0.7, "count": 100}]


def test_slices_are_the_thirds_of_a_feature() -> None:
    values = np.arange(90.0)
    right = values >= 30  # the lowest third is wrong
    found = quality.slices({"length": values, "constant": np.ones(90), "few": np.r_[np.full(89, np.nan), 1]}, right)
    assert [(one["slice"], one["count"], one["accuracy"]) for one in found] == [
        ("length 0 to 29.7", 30, 0.0), ("length 29.7 to 59.3", 30, 1.0), ("length 59.3 to 89", 30, 1.0),
    ]  # fmt: skip
    assert found[0]["interval"][1] > 0.1


def test_a_footprint_counts_time_and_price() -> None:
    footprint = Footprint("cpu", price=3.6)
    sum(n * n for n in range(1_000_000))
    taken = footprint.taken()
    assert 0 <= taken["seconds"] < 60 and taken["cpu_seconds"] >= 0
    assert taken["energy"].startswith(("estimated", "measured"))
    assert taken["cost"] == pytest.approx(taken["seconds"] / 1000, abs=2e-3)


def test_private_training_tells_its_epsilon(folder: Path, tmp_path: Path, run: Run) -> None:
    assert run(folder, tmp_path / "out", "--epsilon", "8", "--clip", "1", "--batch", "23", "--lr", "0.5") == 0
    described = json.loads((tmp_path / "out" / "amaas.json").read_text())
    spent = described["metrics"]["privacy"]
    assert 7 < spent["epsilon"] <= 8
    assert spent["delta"] == pytest.approx(1 / 920, rel=0.05)
    assert f"ε = {spent['epsilon']:g} at δ = {spent['delta']:g}" in described["card"]
    assert described["metrics"]["test_accuracy"] > 0.7  # it still learns


def test_more_privacy_is_more_noise_and_stopping_loses_no_count(folder: Path, tmp_path: Path, run: Run) -> None:
    noise = {}
    for epsilon in ("1", "20"):
        out = tmp_path / epsilon
        assert run(folder, out, "--epsilon", epsilon, "--clip", "1", "--batch", "23", "--epochs", "2") == 0
        noise[epsilon] = json.loads((out / "amaas.json").read_text())["metrics"]["privacy"]["noise_multiplier"]
    assert noise["1"] > 3 * noise["20"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--epsilon", "8"], "give --clip"),
        (["--epsilon", "8", "--clip", "1", "--batch", "8"], "needs batches of 16 or more"),
        (["--epsilon", "8", "--clip", "1", "--model", "resnet9"], "give a --model without it"),
    ],
)
def test_what_private_training_needs_is_said(
    folder: Path, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    assert run(folder, tmp_path / "out", *more) == 1
    assert message in capsys.readouterr().err
