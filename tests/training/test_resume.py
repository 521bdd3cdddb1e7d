"""Killed, restarted, and in the end the very weights of the run that nobody killed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch

from training import export, train
from training.data import dataset as datasets
from training.errors import AGAIN, TrainingError
from training.loop.checkpoint import Checkpoints, fingerprint
from training.settings import settings

from . import children

PLAIN = ["--batch", "16", "--epochs", "3", "--device", "cpu", "--quiet", "--deterministic"]
CNN = ["--widths", "4", "8", "--hidden", "16", "--erase", "3"]
ALL = [
    "--model",
    f"{children.__name__}:Noisy",
    "--optimizer",
    "adamw",
    "--schedule",
    "one-cycle",
    "--ema",
    "0.9",
    "--mixup",
    "0.3",
    "--cutmix",
    "1",
    "--crop",
    "0.1",
    "--rotate",
    "5",
    "--clip",
    "1",
    "--label-smoothing",
    "0.1",
]
STEPS = 5  # of an epoch: 92 images in batches of 16


def same(a: Path, b: Path) -> bool:
    first, second = children.weights(a), children.weights(b)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def kills(*moments: str) -> list[children.Kill]:
    """At least one step apart, so that each process gets a little further than the one before."""
    return [(moment, 1 if moment == "validation" else random.randint(1, 3)) for moment in moments]


@pytest.mark.parametrize(
    ("more", "moments"),
    [(CNN, ["step", "write", "validation"]), (ALL, ["step", "write", "rename", "clean-up"])],
    ids=["cnn", "everything"],
)
def test_kill_9_changes_no_bit(folder: Path, tmp_path: Path, more: list[str], moments: list[str]) -> None:
    arguments = ["--data", str(folder), *PLAIN, *more]
    assert children.run(arguments, tmp_path / "whole")[0] == 0
    deaths = kills(*moments)
    often = [*arguments, "--checkpoint-minutes", "0"]  # each step: how many are written must not hang on the time
    for kill in deaths:
        code, printed = children.run(often, tmp_path / "killed", kill)
        assert code == -9, (deaths, often, printed)
    code, printed = children.run(often, tmp_path / "killed")
    assert code == 0, printed
    assert "continues in epoch" in printed
    assert same(tmp_path / "whole", tmp_path / "killed"), (deaths, often)
    rows = [(tmp_path / name / "metrics.jsonl").read_text().splitlines() for name in ("whole", "killed")]
    without_time = [[row.split(', "seconds"')[0] for row in each] for each in rows]
    assert without_time[0] == without_time[1]
    assert not (tmp_path / "killed" / "checkpoint").exists()


def test_sigterm_checkpoints_at_once_and_has_an_exit_code_of_its_own(folder: Path, tmp_path: Path) -> None:
    """Then killed in the third epoch, long before the next timed checkpoint: the lost steps are repeated."""
    arguments = ["--data", str(folder), *PLAIN, *CNN]
    assert children.run(arguments, tmp_path / "whole")[0] == 0
    code, printed = children.run(arguments, tmp_path / "stopped", ("SIGTERM", STEPS + 3))
    assert code == AGAIN == 75
    kept = tmp_path / "stopped" / "checkpoint"
    assert f"stopped by SIGTERM; the checkpoint of epoch 2, step 3 is kept in {kept}: the same command" in printed
    code, printed = children.run([*arguments, "--resume"], tmp_path / "stopped", ("step", STEPS))
    assert code == -9
    assert f"continues in epoch 2 after step 3 of {STEPS}" in printed
    code, printed = children.run(arguments, tmp_path / "stopped")
    assert code == 0
    assert f"continues in epoch 3 after step 0 of {STEPS}" in printed
    assert same(tmp_path / "whole", tmp_path / "stopped")


@pytest.fixture
def stopped(folder: Path, tmp_path: Path) -> tuple[list[str], Path]:
    """The command and the folder of a run that was stopped in its second epoch; two checkpoints are there."""
    arguments = ["--data", str(folder), *PLAIN, *CNN]
    assert children.run(arguments, tmp_path / "out", ("SIGTERM", STEPS + 2))[0] == AGAIN
    return arguments, tmp_path / "out"


def test_a_damaged_checkpoint_falls_back_to_the_one_before(stopped: tuple[list[str], Path], tmp_path: Path) -> None:
    arguments, out = stopped
    newest = sorted((out / "checkpoint").iterdir())[-1]
    newest.write_bytes(newest.read_bytes()[:999])
    code, printed = children.run(arguments, out)
    assert code == 0
    assert f"the checkpoint {newest} is damaged: removed, the one before is tried" in printed
    assert f"continues in epoch 2 after step 0 of {STEPS}" in printed
    assert children.run(arguments, tmp_path / "whole")[0] == 0
    assert same(tmp_path / "whole", out)


def test_another_runs_checkpoint_is_refused_with_what_differs(
    stopped: tuple[list[str], Path], folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, out = stopped
    monkeypatch.setattr(export, "package", lambda *_, **__: out)
    before = sorted((out / "checkpoint").iterdir())
    command = [*arguments, "--out", str(out)]
    assert train.main([*command, "--lr", "0.01", "--clip", "2"]) == 1
    message = capsys.readouterr().err
    assert "is another run's: clip was 0.0, is 2.0; lr was 0.05, is 0.01. Give its settings" in message
    (folder / "left" / "000.png").unlink()
    assert train.main(command) == 1
    message = capsys.readouterr().err
    assert "data (train) was 92 items, " in message
    assert "lr" not in message
    assert sorted((out / "checkpoint").iterdir()) == before
    assert train.main([*command, "--no-resume"]) == 0
    assert "continues" not in capsys.readouterr().out


def test_where_what_and_how_loud_may_change(folder: Path, tmp_path: Path) -> None:
    runs = []
    for options in (["--out", "a", "--name", "a", "--quiet"], ["--out", "b", "--checkpoint-minutes", "9", "--resume"]):
        s = settings(["--data", str(folder), *options])
        runs.append(fingerprint(s, datasets.load(str(folder), tmp_path, seed=0)))
    assert runs[0] == runs[1]
    assert {"lr", "seed", "device", "model", "data (test)", "labels", "torch"} <= runs[0].keys()


def test_another_number_of_processes_or_another_teacher_is_another_run(folder: Path, tmp_path: Path) -> None:
    """A teacher by what its name meant when the run began: an alias may have moved since."""
    s = settings(["--data", str(folder), "--out", str(tmp_path), "--teacher", "sides"])
    data = datasets.load(str(folder), tmp_path, seed=0)
    Checkpoints(tmp_path, fingerprint(s, data, 1, "sides@3"), 1).save(1, 1, {})
    for processes, teacher, told in (
        (2, "sides@3", "processes was 1, is 2"),
        (1, "sides@4", "was sides@3, is sides@4"),
    ):
        with pytest.raises(TrainingError, match=told):
            Checkpoints(tmp_path, fingerprint(s, data, processes, teacher), 1).load(None)
    assert Checkpoints(tmp_path, fingerprint(s, data, 1, "sides@3"), 1).load(None) == {}
