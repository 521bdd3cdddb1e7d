"""Figures of a classifier against hand counts and scikit-learn's; what a run took."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from training.report import footprint, quality
from training.report.footprint import Footprint


def test_per_class_figures_are_scikit_learns() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, 500)
    logits = random.standard_normal((500, 4)) + 1.5 * np.eye(4)[labels]
    found = quality.measured(logits, labels, list("abcd"))
    precision, recall, f1, count = precision_recall_fscore_support(labels, logits.argmax(1))
    for k, name in enumerate("abcd"):
        assert found["classes"][name] == {
            "count": count[k],
            "recall": round(recall[k], 4),
            "precision": round(precision[k], 4),
            "f1": round(f1[k], 4),
        }
    assert found["macro_f1"] == pytest.approx(f1.mean(), abs=1e-4)
    counts = quality.confusion(logits, labels)
    assert counts.sum() == 500 and counts.trace() / 500 == found["accuracy"]
    assert counts[1, 2] == ((labels == 1) & (logits.argmax(1) == 2)).sum()


def test_what_an_accuracy_hides_is_said() -> None:
    """98.9 % where the majority is 99.0 %, one of 15 frauds found, an epoch chosen on 37 rows."""
    labels = np.array([0] * 1485 + [1] * 15)
    predicted = labels.copy()
    predicted[1486:] = 0
    predicted[:3] = 1
    found = quality.measured(10.0 * np.eye(2)[predicted], labels, ["fine", "fraud"])
    metrics = {f"test_{name}": found[name] for name in ("accuracy", "interval", "classes")}
    assert quality.cautions(metrics, (0.5, 37), "rows") == [
        "Always answering fine would be right in 99.0% of the test rows: the model's 98.9% are not surely more",
        "Of 15 rows of the class fraud, 1 are found",
        "The epoch was chosen on 37 rows: ±15 points of accuracy",
    ]
    balanced = quality.measured(10.0 * np.eye(2)[labels], np.array(labels), ["fine", "fraud"])
    metrics = {f"test_{name}": balanced[name] for name in ("accuracy", "interval", "classes")}
    assert quality.cautions(metrics, (0.99, 1000), "rows") == []


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
        ("length 0 to 29.7", 30, 0.0),
        ("length 29.7 to 59.3", 30, 1.0),
        ("length 59.3 to 89", 30, 1.0),
    ]
    assert found[0]["interval"][1] > 0.1


def test_energy_is_counted_though_the_counters_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor that counts to 65 kJ and begins anew each 1,000 s at 65 W; looked at each 300 s, for two hours."""
    span, watts, now = 65_000_000_000, 65, [0.0]
    monkeypatch.setattr(footprint, "_packages", lambda: [(int(now[0] * watts * 1e6) % span, span)])
    monkeypatch.setattr(footprint.time, "perf_counter", lambda: now[0])
    counted = Footprint("cpu")
    for _ in range(24):
        now[0] += 300
        counted.look()
    taken = counted.taken()
    assert taken["seconds"] == 7200
    assert taken["kilowatt_hours"] == pytest.approx(0.13)
    assert taken["energy"].startswith("measured")


def test_the_processes_of_a_group_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    spent = [10.0]
    monkeypatch.setattr(footprint, "_cpu_seconds", lambda: spent[0])
    counted = Footprint("cpu")
    spent[0] += 4
    counted.look(lambda own: [own + 3.5])
    spent[0] += 1
    assert counted.taken()["cpu_seconds"] == 8.5


def test_a_footprint_counts_time_and_price() -> None:
    counted = Footprint("cpu", price=3.6)
    sum(n * n for n in range(1_000_000))
    taken = counted.taken()
    assert 0 <= taken["seconds"] < 60 and taken["cpu_seconds"] >= 0
    assert taken["energy"].startswith(("estimated", "measured"))
    assert taken["cost"] == pytest.approx(taken["seconds"] / 1000, abs=2e-3)
