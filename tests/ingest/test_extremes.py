"""A model that an extreme call ends is refused, and the reason names the call; one that only fails is not."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from shared.ingest import extremes, outcome
from shared.ingest.supervisor import check_model
from shared.ingest.verdict import Limits, Verdict
from shared.runtime import onnx
from tests.ingest.conftest import package
from tests.ingest.corpus import INT64, model, scalar, value
from tests.ingest.test_empty import recurrent
from tests.ingest.test_guards import division
from tests.support import linear


def without_guards(folder: Path, blob: bytes, monkeypatch: pytest.MonkeyPatch) -> Verdict:
    """The verdict of a worker without guards and rules on kernels."""
    program, script = folder / "child.py", folder / "python"
    program.write_text(
        "import os, sys\n"
        "sys.path[:0] = os.environ['PYTHONPATH'].split(os.pathsep)\n"
        "from shared.ingest import guards, kernels, worker\n"
        "guards.guard = lambda model: []\n"
        "kernels.check = lambda node, known: None\n"
        "worker.main()\n"
    )
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{program}"\n')  # "#!" takes no path with a space
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    return check_model(package(folder, {"model.onnx": blob}), None)


def stft() -> bytes:
    node = helper.make_node("STFT", ["x", "step", "", "length"], ["y"])
    return model([node], [value("x", [1, 64, 1]), value("length", [], INT64)], initializers=[scalar("step", 8)])


CASES = {
    "division": (division().SerializeToString(), "SIGFPE", "the smallest value"),
    "recurrent": (recurrent("GRU").SerializeToString(), "SIGABRT", "without elements"),
    "frames": (stft(), "SIGFPE", "'length' filled with 0"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_model_that_ends_the_process_is_refused(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blob, signal, words = CASES[case]
    verdict = without_guards(tmp_path, blob, monkeypatch)
    assert (verdict.accepted, verdict.code) == (False, "dies_on_values"), verdict
    assert signal in verdict.reason and words in verdict.reason


def test_a_model_that_survives_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert without_guards(tmp_path, linear([[1.0]]), monkeypatch).accepted


def test_a_model_that_only_fails_or_fills_memory_is_accepted(tmp_path: Path) -> None:
    """The size of the output is the input's value: for the largest there is no memory, for -1 an error."""
    blob = model(
        [helper.make_node("ConstantOfShape", ["x"], ["y"])], [value("x", [1], INT64)], [value("y", ["N"])]
    )  # fmt: skip
    verdict = check_model(package(tmp_path, {"model.onnx": blob}), None)
    assert verdict.accepted, verdict.reason


def test_slow_calls_do_not_change_the_verdict() -> None:
    accepted = Verdict(accepted=True, code="accepted", reason="")
    for status in (None, -24, -9):
        assert outcome._after_extremes(accepted, ["input 'x' filled with NaN"], status) == accepted
    assert outcome._after_extremes(accepted, [], -24) is None
    assert outcome._after_extremes(accepted, [], None) is None
    rejected = outcome._after_extremes(accepted, ["another", "input 'x' filled with NaN"], -11)
    assert rejected is not None and rejected.code == "dies_on_values" and "'x' filled with NaN" in rejected.reason


def test_a_truncated_answer_has_no_verdict() -> None:
    assert outcome._parse_answer(b"") is None
    assert outcome._parse_answer((5).to_bytes(8, "little") + b"{}") is None


def test_calls_are_of_every_kind() -> None:
    session = onnx.load(division().SerializeToString())
    calls = dict(extremes.calls(session, {"a": np.ones(2, np.int64), "b": np.ones(2, np.int64)}))
    shapes = {tuple(feeds[name].shape for name in "ab") for feeds in calls.values()}
    assert {((0,), (0,)), ((0,), (2,)), ((2,), (0,))} <= shapes
    assert {((3,), (2,)), ((1,), (2,)), ((2,), (3,)), ((2,), (1,))} <= shapes, "sizes that do not fit each other"
    pairs = {(feeds["a"][0], feeds["b"][0]) for feeds in calls.values() if feeds["a"].size and feeds["b"].size}
    assert {(-(2**63), -1), (2**63 - 1, 2**63 - 1), (0, 0), (1, -1)} <= pairs
    alone = calls["the first element of input 'a' being the largest value"]["a"]
    assert alone.tolist() == [2**63 - 1, 1]


def test_no_call_is_begun_when_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 0.5, 1.5])
    monkeypatch.setattr(extremes.time, "process_time", lambda: next(times))
    monkeypatch.setattr(extremes.resource, "setrlimit", lambda *args: None)
    session, descriptions = onnx.load(linear([[1.0]])), []
    extremes.run_calls(session, None, Limits(), lambda: 0, descriptions.append)
    assert len(descriptions) == 1


def test_no_call_is_made_of_a_model_that_took_half_of_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extremes.time, "process_time", lambda: 0.0)
    monkeypatch.setattr(extremes.resource, "setrlimit", lambda *args: None)
    session, limits = onnx.load(linear([[1.0]])), Limits()
    for peak, some in ((limits.memory // 2, True), (limits.memory // 2 + 1, False)):
        descriptions: list[str] = []
        extremes.run_calls(session, None, limits, partial(int, peak), descriptions.append)
        assert bool(descriptions) == some
