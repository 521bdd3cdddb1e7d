"""What search calls the best, and what it cannot tell from noise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training.compress import convert, latency, search
from training.compress.latency import Timings
from training.compress.options import Options, Search

from .packages import compress, matmul

NOISE = np.random.default_rng(0).normal(0, 0.02, (4, 6))


def timings(**medians: float) -> Timings:
    """Six sessions of each, which differ by some 2 %, all of one number by the machine's load besides."""
    load = np.array([1.0, 1.3, 0.9, 1.0, 2.0, 1.1])
    taken = {name: list(median * load * np.exp(NOISE[n])) for n, (name, median) in enumerate(medians.items())}
    return Timings(taken, {"sessions": 6, "cpu": "x"})


def report(times: Timings, sizes: dict[str, int], target: str = "latency") -> dict[str, Any]:
    class Parent:
        reference = "m@sha256:0"

    rows = [
        {"step": name, "size": size, "latency_us": times.medians[name], "noise": 0.0, "validation_accuracy": 0.9}
        for name, size in sizes.items()
    ]
    return search._report(Parent(), rows, {}, Options(search=Search(target=target)), times)  # type: ignore[arg-type]


SIZES = {"parent": 900, "fp16": 450, "int8": 240}


def test_a_difference_beyond_noise_names_the_fastest() -> None:
    outcome = report(timings(parent=50, fp16=80, int8=60), SIZES)
    assert outcome["best"] == "parent" and outcome["alike"] == ["parent"]


def test_of_what_noise_cannot_tell_apart_the_smallest_is_taken() -> None:
    outcome = report(timings(parent=50.0, fp16=80, int8=50.4), SIZES)
    assert outcome["best"] == "int8" and outcome["alike"] == ["parent", "int8"]
    alike = report(timings(parent=50.0, fp16=80, int8=50.4), SIZES | {"int8": 900})
    assert alike["best"] == "parent", "as small, and simpler"


def test_load_that_all_meet_alike_is_no_noise() -> None:
    """The load varies by a factor of two: pairs tell what medians would not."""
    low, high = timings(parent=50, fp16=55).ratio("fp16", "parent")
    assert 1.05 < low < 1.1 < high < 1.15


def test_size_needs_no_interval_and_noise_makes_nobody_better() -> None:
    outcome = report(timings(parent=50, fp16=50.1, int8=49.9), SIZES, "size")
    assert outcome["best"] == "int8" and outcome["alike"] == []
    assert [row["pareto"] for row in outcome["steps"]] == [False, False, True]


def test_two_sessions_of_the_same_model_are_not_told_apart_by_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(latency, "timings", lambda bodies, _: timings(**dict.fromkeys(bodies, 10.0)))
    assert compress("search", matmul(tmp_path / "plain"), tmp_path / "out", "--steps", "fp16", "int4") == 0
    printed = capsys.readouterr().out
    assert "no difference in latency that can be told from noise: parent, fp16, int4 (95 % intervals over 6" in printed
    assert "int4 is taken, the smallest of them" in printed
    assert json.loads((tmp_path / "out" / "pareto.json").read_text())["best"] == "int4"


def test_sessions_are_timed_in_turns(tmp_path: Path) -> None:
    folder = matmul(tmp_path / "plain")
    body = (folder / "model.onnx").read_bytes()
    rows = {"x": np.load(folder / "golden.npz")["input.x"]}
    times = latency.timings({"one": body, "other": body}, rows)
    assert [len(taken) for taken in times.microseconds.values()] == [latency.SESSIONS] * 2
    assert times.machine["rounds"] >= latency.SESSIONS * latency.FEWEST
    low, high = times.ratio("one", "one")
    assert low == high == 1 and not times.faster("one", "one")


def test_a_step_that_runs_out_of_memory_takes_no_other_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(convert, "dynamic", full)
    out = tmp_path / "out"
    assert compress("search", matmul(tmp_path / "plain"), out, "--steps", "fp16", "dynamic", "--max-noise", "9") == 0
    report = json.loads((out / "pareto.json").read_text())
    assert report["refused"]["dynamic"].startswith("memory ran out: give a smaller --batch")
    assert (out / "fp16" / "model.onnx").is_file()
