"""A model's answers on another x86-64 processor: QEMU's user mode runs the process that serves, as that one would.

Nothing but `answers` is for others: the module is also the program that QEMU runs
(python -m training.portability.emulated FOLDER).
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tools import debian, processors
from training import measure
from training.errors import TrainingError
from training.package import Arrays
from training.served import served

# QEMU's names, each with what ONNX Runtime's kernels find there
PROCESSORS = {"Haswell": "AVX2, no AVX-512, no VNNI", "Nehalem": "SSE4.2, no AVX"}


class Question(NamedTuple):
    """inputs: arrays [rows, …] by name. batch: rows that are asked at once."""

    model: bytes
    inputs: Arrays
    batch: int = measure.BATCH


def answers(questions: Mapping[str, Question], processor: str | None = None) -> dict[str, Arrays]:
    """All outputs [rows, …] of each question, by its name. processor: one of PROCESSORS; None for this machine itself.

    One thread everywhere: how much work a thread gets may decide the order of a sum. Raises TrainingError.
    """
    if processor is None:
        return {name: _answer(question) for name, question in questions.items()}
    with tempfile.TemporaryDirectory() as folder:
        for number, question in enumerate(questions.values()):
            _write(Path(folder), number, question)
        _run(processor, folder)
        return {name: _read(Path(folder) / f"{number}.answer.npz") for number, name in enumerate(questions)}


def _answer(question: Question) -> Arrays:
    return measure.outputs(served(question.model, threads=1), question.inputs, question.batch)


def _run(processor: str, folder: str) -> None:
    try:
        done = processors.run(processor, ["-m", "training.portability.emulated", folder])
    except debian.Missing as error:
        raise TrainingError(str(error)) from error
    if done.returncode:
        last = next((text for text in reversed(done.stderr.splitlines()) if text.strip()), "no reason was given")
        raise TrainingError(f"the model does not run as {processor} (status {done.returncode}): {last[:300]}")


def _write(folder: Path, number: int, question: Question) -> None:
    (folder / f"{number}.onnx").write_bytes(question.model)
    np.savez(folder / f"{number}.npz", allow_pickle=False, **question.inputs)
    (folder / f"{number}.json").write_text(json.dumps({"batch": question.batch}))


def _read(path: Path) -> Arrays:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def main(folder: Path) -> None:
    for path in sorted(folder.glob("*.onnx")):
        batch = json.loads(path.with_suffix(".json").read_text())["batch"]
        answer = _answer(Question(path.read_bytes(), _read(path.with_suffix(".npz")), batch))
        np.savez(path.with_suffix(".answer.npz"), allow_pickle=False, **answer)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
