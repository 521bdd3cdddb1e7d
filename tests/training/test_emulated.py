"""Answers on other processors: QEMU runs the process that serves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tools import debian, processors
from training import package
from training.compress import blocks
from training.errors import TrainingError
from training.portability.emulated import Question, answers

from .packages import matmul


def question(folder: Path, level: int) -> Question:
    """Four bits; level 4 rounds activations to int8, where the processor has such a kernel."""
    opened = package.read(folder)
    model = blocks.int4(opened.model)[0]
    if level != blocks.FLOAT:
        graph = package.onnx.load_from_string(model)
        [kept] = [one for one in graph.graph.node[0].attribute if one.name == "accuracy_level"]
        kept.i = level
        model = package.serialized(graph)
    return Question(model, opened.golden)


def test_activations_answer_alike_on_every_processor(tmp_path: Path) -> None:
    folder = matmul(tmp_path / "plain")
    questions = {"float": question(folder, blocks.FLOAT), "bytes": question(folder, 4)}
    here, sse = answers(questions), answers(questions, "Nehalem")
    np.testing.assert_allclose(here["float"]["y"], sse["float"]["y"], rtol=1e-5, atol=1e-5)
    # 8-bit activations, which only some processors have a kernel for, are served in floats
    np.testing.assert_allclose(here["bytes"]["y"], sse["float"]["y"], rtol=1e-5, atol=1e-5)


def test_a_model_that_does_not_run_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"does not run as Nehalem \(status 1\): .*cannot load the model"):
        answers({"broken": Question(b"no model", {})}, "Nehalem")


def test_without_qemu_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise debian.Missing("QEMU's user mode is missing: install qemu-user")

    monkeypatch.setattr(processors, "run", missing)
    with pytest.raises(TrainingError, match="qemu-user"):
        answers({}, "Haswell")
