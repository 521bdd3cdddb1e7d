"""Two processes on the CPU train what one trains, also after both were stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
import torch.distributed as dist

from training.loop import process_group
from training.loop.process_group import ProcessGroup

ROOT = Path(__file__).resolve().parents[2]
PLAIN = [
    "--device",
    "cpu",
    "--quiet",
    "--batch",
    "16",
    "--epochs",
    "3",
    "--shift",
    "0",
    "--no-flip",
    "--seed",
    "3",
]
CNN = ["--widths", "4", "8", "--hidden", "16"]


def command(folder: Path, out: Path, *more: str, processes: int) -> list[str]:
    arguments = ["training.train", "--data", str(folder), "--out", str(out), *PLAIN, *more]
    if processes == 1:
        return [sys.executable, "-m", *arguments]
    torchrun = ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "--no-python"]
    return [sys.executable, "-m", *torchrun, sys.executable, "-m", *arguments]


def start(folder: Path, out: Path, *more: str, processes: int = 2, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(folder, out, *more, processes=processes),
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", **env},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def done(process: subprocess.Popen[str]) -> str:
    printed, errors = process.communicate()
    assert process.returncode == 0, errors
    return printed


def logits(out: Path) -> np.ndarray:
    session = onnxruntime.InferenceSession(out / "model.onnx", providers=["CPUExecutionProvider"])
    golden = np.load(out / "golden.npz", allow_pickle=False)
    return np.asarray(session.run(["logits"], {"image": golden["input.image"]})[0])


def losses(out: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_two_processes_are_one_with_the_whole_batch(folder: Path, tmp_path: Path) -> None:
    one = start(folder, tmp_path / "one", *CNN, processes=1)
    two = start(folder, tmp_path / "two", *CNN, "--checkpoint-minutes", "0")
    done(one)
    printed = done(two)
    assert printed.count("epoch 1 ") == printed.count("packaged in") == 1  # the first process alone speaks
    np.testing.assert_allclose(logits(tmp_path / "one"), logits(tmp_path / "two"), atol=2e-4)
    np.testing.assert_allclose(losses(tmp_path / "one"), losses(tmp_path / "two"), atol=2e-4)


def test_on_gpus_each_process_takes_its_own_before_it_joins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else objects and random numbers of all of them go to the first GPU, which NCCL refuses."""
    called: list[tuple[str, str]] = []
    for name, value in (("RANK", "3"), ("LOCAL_RANK", "1"), ("WORLD_SIZE", "4")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: called.append(("own", device)))
    monkeypatch.setattr(dist, "init_process_group", lambda backend, **_: called.append(("join", backend)))
    with ProcessGroup("cuda") as joined:
        assert joined.device == "cuda:1"
    assert called == [("own", "cuda:1"), ("join", "cpu:gloo,cuda:nccl")]


def test_what_batchnorm_sees_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(process_group, "DistributedDataParallel", lambda network: network)
    for network, told in ((torch.nn.BatchNorm1d(2), True), (torch.nn.Linear(2, 2), False)):
        ProcessGroup("cpu").wrap(network)
        assert ("BatchNorm sees a part of each batch, in each of 2 processes" in capsys.readouterr().err) == told


def test_a_stopped_group_goes_on_where_it_was(folder: Path, tmp_path: Path) -> None:
    """torchrun hands SIGTERM on; whoever of the group gets it, all stop at one step, with one checkpoint."""
    changing = ["--shift", "1", "--erase", "3", "--model", "tests.training.held:Held"]
    whole = start(folder, tmp_path / "whole", *changing)
    held = tmp_path / "8"  # of 5 steps an epoch
    stopped = start(folder, tmp_path / "stopped", *changing, HOLD=str(held))
    while not held.exists():
        assert stopped.poll() is None, stopped.communicate()
        time.sleep(0.02)
    stopped.send_signal(signal.SIGTERM)
    stopped.communicate()
    assert stopped.returncode != 0
    assert len(losses(tmp_path / "stopped")) == 1
    assert "continues in epoch 2 after step 3" in done(start(folder, tmp_path / "stopped", *changing))
    done(whole)
    assert losses(tmp_path / "whole") == losses(tmp_path / "stopped")
    assert np.array_equal(logits(tmp_path / "whole"), logits(tmp_path / "stopped"))
