"""--bf16, --channels-last and --compile are used where they pay, and a run goes on as it began."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from training import export, train
from training.errors import AGAIN
from training.loop import shortcuts
from training.loop.shortcuts import applied, lines, unused
from training.settings import settings

from . import children
from .conftest import SHORT, Run
from .packages import described

ROOT = Path(__file__).resolve().parents[2]
ALL = ["--bf16", "--channels-last", "--compile", "eager"]


def costs(monkeypatch: pytest.MonkeyPatch, **milliseconds: float) -> list[str]:
    """Steps that take 10 ms, and with each shortcut so many more; returns the list of those that were tried."""
    tried: list[str] = []

    def step(s: Any, *_: object) -> Callable[[], Any]:
        return lambda: s

    def measured(without: Callable[[], Any], more: Callable[[], Any]) -> tuple[float, float]:
        def takes(s: Any) -> float:
            return 10 + sum(more for name, more in milliseconds.items() if getattr(s, name))

        tried.extend(name for name in shortcuts.NAMES if getattr(more(), name) and not getattr(without(), name))
        return takes(without()), takes(more())

    monkeypatch.setattr(shortcuts, "_step", step)
    monkeypatch.setattr(shortcuts, "_milliseconds", measured)
    return tried


def test_what_makes_steps_slower_is_not_used_and_it_says_why(
    folder: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tried = costs(monkeypatch, bf16=70.0, channels_last=-4.0, compile=0.0)
    assert run(folder, tmp_path / "out", *ALL) == 0
    assert tried == ["channels_last", "bf16", "compile"]
    printed = capsys.readouterr().out
    assert "--bf16: not used, a step takes 76 ms with it, 6 ms without" in printed
    assert "--channels-last: used, a step takes 6 ms with it, 10 ms without" in printed
    details = described(tmp_path / "out")["lineage"]["details"]
    assert details["channels_last"] is True and "bf16" not in details and "compile" not in details
    assert "bf16 (not used, a step takes 76 ms with it, 6 ms without); compile (not used" in details["asked_for"]
    assert "a step takes 76 ms with it" in described(tmp_path / "out")["card"]


def test_no_measure_uses_them_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    assert costs(monkeypatch, bf16=70.0) == []
    chosen = settings(["--data", "x", "--out", "y", *ALL, "--no-measure"])
    decisions = shortcuts.decide(chosen, torch.nn.Linear(1, 1), [], "cpu")  # type: ignore[arg-type]  # nothing is run
    assert decisions == {name: {"used": True} for name in shortcuts.NAMES}
    assert applied(chosen, decisions) == chosen
    assert lines(decisions)[1] == "--bf16: used, unmeasured" and unused(decisions) == {}


def test_a_backend_that_fails_is_left_out(
    folder: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no C++ compiler\nmore")

    monkeypatch.setattr(torch, "compile", broken)
    assert run(folder, tmp_path / "out", "--epochs", "1", "--compile") == 0
    assert "--compile: not used, it does not work here (no C++ compiler)" in capsys.readouterr().out


@pytest.fixture
def weights(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, torch.Tensor]]:
    """Of the networks that would have been packaged, run by run."""
    packaged: list[dict[str, torch.Tensor]] = []
    monkeypatch.setattr(export, "to_onnx", lambda *_: b"")
    monkeypatch.setattr(export, "package", lambda network, *_: packaged.append(network.state_dict()))
    return packaged


def same(weights: list[dict[str, torch.Tensor]]) -> bool:
    first, second = weights
    return all(torch.equal(first[name], second[name]) for name in first)


def test_a_trial_changes_neither_weights_nor_random_numbers(
    folder: Path, tmp_path: Path, weights: list[dict[str, torch.Tensor]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real steps, of a network with dropout and BatchNorm; none pays, so that the training is the same without."""
    monkeypatch.setattr(shortcuts, "PAYS", 0)
    monkeypatch.setattr(shortcuts, "SECONDS", 0)
    arguments = ["--data", str(folder), "--device", "cpu", "--quiet", "--epochs", "1", "--batch", "16"]
    noisy = ["--model", f"{children.__name__}:Noisy"]
    for name, more in (("plain", []), ("tried", ALL)):
        assert train.main([*arguments, *noisy, *more, "--out", str(tmp_path / name)]) == 0
    assert same(weights)


@pytest.mark.parametrize("pays", [True, False])
def test_a_run_goes_on_as_it_began(
    pays: bool,
    folder: Path,
    tmp_path: Path,
    weights: list[dict[str, torch.Tensor]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """On a processor that would decide otherwise, and to the same bits."""
    arguments = ["--data", str(folder), "--device", "cpu", "--quiet", *SHORT, "--epochs", "2", "--bf16"]
    costs(monkeypatch, bf16=-5 if pays else 5)
    assert train.main([*arguments, "--out", str(tmp_path / "whole")]) == 0
    stopped = train.Loop.save

    def stop(loop: train.Loop) -> None:
        stopped(loop)
        raise train.Reclaimed

    monkeypatch.setattr(train.Loop, "save", stop)
    assert train.main([*arguments, "--out", str(tmp_path / "out")]) == AGAIN
    monkeypatch.setattr(train.Loop, "save", stopped)
    tried = costs(monkeypatch, bf16=5 if pays else -5)
    capsys.readouterr()
    assert train.main([*arguments, "--out", str(tmp_path / "out")]) == 0
    assert tried == []
    expected = "used, a step takes 5 ms with it" if pays else "not used, a step takes 15 ms with it"
    assert f"--bf16: {expected}, 10 ms without, as when the run began" in capsys.readouterr().out
    assert same(weights)


def test_without_bfloat16_instructions_it_is_left_out(folder: Path, tmp_path: Path) -> None:
    """As on a processor with AVX2 alone: PyTorch's library for matrix products is expected so."""
    line = [
        sys.executable,
        "-m",
        "training.train",
        "--data",
        str(folder),
        "--out",
        str(tmp_path / "out"),
        "--device",
        "cpu",
        "--quiet",
        "--epochs",
        "1",
        "--batch",
        "64",
        "--widths",
        "32",
        "64",
        "--bf16",
    ]
    limited = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(line, cwd=ROOT, env=limited, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--bf16: not used, a step takes" in done.stdout
