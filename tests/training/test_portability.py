"""A package's card says what it scores on other processors, and one that answers otherwise there is refused."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from training.package import Arrays
from training.portability import __main__ as processors
from training.portability import emulated
from training.portability.emulated import Question

from .conftest import sides
from .packages import described


@pytest.fixture(scope="module")
def trained(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sides(images, tmp_path_factory.mktemp("trained") / "sides", 3)


@pytest.fixture
def copied(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "sides"))


def elsewhere(monkeypatch: pytest.MonkeyPatch, **scale: float) -> None:
    """Processors on which all scores are multiplied; QEMU itself: test_emulated.py."""
    real = emulated.answers

    def answers(questions: Mapping[str, Question], processor: str | None = None) -> dict[str, Arrays]:
        here = real(questions)
        factor = np.float32(scale.get(processor or "", 1.0))
        return {name: {put: values * factor for put, values in one.items()} for name, one in here.items()}

    monkeypatch.setattr(processors, "answers", answers)


def test_the_card_says_what_each_processor_scores_once(
    copied: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere(monkeypatch)
    before = described(copied)
    for _ in range(2):
        assert processors.main([str(copied), "--data", str(images)]) == 0
    after = described(copied)
    rows = after["metrics"]["processors"]
    assert [row["processor"] for row in rows][1:] == ["Haswell", "Nehalem"]
    assert {row["accuracy"] for row in rows} == {before["metrics"]["test_accuracy"]}
    assert all(row["golden"] and row["other_answers"] == 0 for row in rows)
    assert after["card"].count(processors.MARK) == 1
    assert "Nehalem (SSE4.2, no AVX; emulated): test accuracy" in after["card"]
    title, rest = before["card"].split("\n", 1)
    assert after["card"].startswith(title) and rest.strip() in after["card"]


def test_a_model_that_answers_otherwise_elsewhere_is_refused_and_its_card_stays(
    copied: Path, images: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (copied / "amaas.json").read_bytes()
    elsewhere(monkeypatch, Nehalem=1.5)
    assert processors.main([str(copied), "--data", str(images)]) == 1
    printed = capsys.readouterr()
    assert "its golden set fails as Nehalem. Nothing was written" in printed.err and "golden set FAILS" in printed.out
    elsewhere(monkeypatch, Haswell=-1.0)
    (copied / "golden.npz").unlink()
    assert processors.main([str(copied), "--data", str(images)]) == 1
    assert "accuracy differs by" in capsys.readouterr().err
    assert (copied / "amaas.json").read_bytes() == before
