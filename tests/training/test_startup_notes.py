"""What a run says before it begins, that is no error; and which epoch's weights it kept."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from training.data.dataset import Dataset
from training.loop import startup_notes
from training.report import plots
from training.settings import settings

from .conftest import Run


class Items(SimpleNamespace):
    """So many prepared items to train on and to validate."""

    def __len__(self) -> int:
        return int(self.count)


def told(count: int, batch: int, validation: int = 100, report: Any = (), epsilon: float | None = None) -> list[str]:
    private = ["--epsilon", str(epsilon), "--clip", "1"] if epsilon else []
    chosen = settings(["--data", "x", "--out", "out", "--batch", str(batch), *private])
    items = Items(count=count, validation=({}, range(validation)), data=dataset(report=list(report)))
    return startup_notes.notes(chosen, items)  # type: ignore[arg-type]


def dataset(**told: Any) -> Dataset:
    none = np.zeros(0), np.zeros(0, np.int64)
    return Dataset(**{"train": none, "validation": none, "test": none, "labels": [], "about": {}} | told)


def test_a_batch_that_wastes_a_small_set_is_told() -> None:
    assert told(6400, 64) == []
    [note] = told(114, 64)
    assert "a batch of 64 makes 1 steps an epoch, and leaves out 50 of 114 items each time: a smaller --batch" in note
    assert told(114, 64, epsilon=3.0) == [], "private batches are drawn by lot"
    [note] = told(6400, 64, validation=12)
    assert "12 validation items say little" in note


def test_columns_that_cannot_be_learned_from_are_told() -> None:
    rows = [{"id": float(n + 7), "review": f"text {n}", "color": "red", "size": n * 1.5} for n in range(40)]
    types = {"id": "number", "review": "category", "color": "category", "size": "number"}
    data = dataset(kind="table", train=(np.array(rows, object), np.zeros(40)), details={"types": types})
    chosen = settings(["--data", "x", "--out", "out", "--batch", "2"])
    lines = startup_notes.notes(chosen, Items(count=40, validation=({}, range(90)), data=data))  # type: ignore[arg-type]
    assert [line.split("'")[1] for line in lines] == ["id", "review"]
    assert "seems to number the rows" in lines[0]
    assert "with --text review it is read as text" in lines[1]


def test_doubtful_items_that_stay_are_counted() -> None:
    doubtful = {"split": "train", "reason": "doubtful label", "kept": True}
    [note] = told(6400, 64, report=[doubtful, doubtful, {"split": "train", "reason": "duplicate"}])
    assert note == "note: noticed and kept: 2 doubtful label; out/cleaning.json names them"


def test_the_epoch_that_was_kept_is_told(
    folder: Path, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, tmp_path / "out") == 0
    described = json.loads((tmp_path / "out" / "amaas.json").read_text())
    best = described["metrics"]["best_epoch"]
    rows = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    assert rows[best - 1]["validation_accuracy"] == max(row["validation_accuracy"] for row in rows)
    assert f"with the weights of epoch {best}" in capsys.readouterr().out
    assert f"those\nafter epoch {best}, which did best" in described["card"]


def test_a_steep_beginning_does_not_flatten_the_rest() -> None:
    assert plots._steep([1256.0, 9.0, 0.6, 0.5, 0.5, 0.4])
    assert not plots._steep([2.3, 1.9, 0.6, 0.5, 0.5, 0.4])
    assert not plots._steep([0.0, 900.0, 0.1])
