"""Checkpoints on disk, without a training run; and what becomes of them when a run goes wrong."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from training import export
from training.errors import TrainingError
from training.loop import checkpoint, epochs
from training.loop.checkpoint import Checkpoints, Reclaimed, StopSignal
from training.loop.state import State

from .conftest import Run

IDENTITY = {"lr": "0.1", "data (train)": "9 images, ab"}


@pytest.fixture
def kept(tmp_path: Path) -> Checkpoints:
    return Checkpoints(tmp_path / "kept", IDENTITY, minutes=5)


def test_the_last_two_are_kept(kept: Checkpoints) -> None:
    for step in range(5):
        assert kept.save(1, step, {"step": step, "weight": torch.full((3,), float(step))})
    assert kept.save(2, 0, {"step": 0, "weight": torch.zeros(3)})
    assert [path.stem for path in kept.files()] == ["000001-000000004", "000002-000000000"]
    loaded = kept.load(None)
    assert loaded is not None
    assert torch.equal(loaded["weight"], torch.zeros(3))


def spoil_last_byte(path: Path) -> None:
    body = bytearray(path.read_bytes())
    body[-1] ^= 1
    path.write_bytes(body)


@pytest.mark.parametrize(
    "spoil",
    [spoil_last_byte, lambda path: path.write_bytes(path.read_bytes()[:99]), lambda path: path.write_bytes(b"")],
)
def test_damage_is_told_and_the_one_before_is_taken(
    kept: Checkpoints, capsys: pytest.CaptureFixture[str], spoil: Callable[[Path], object]
) -> None:
    kept.save(1, 1, {"step": 1})
    kept.save(1, 2, {"step": 2})
    spoil(kept.files()[-1])
    assert kept.load(None) == {"step": 1}
    assert "000001-000000002.checkpoint is damaged: removed, the one before is tried" in capsys.readouterr().err
    spoil(kept.files()[-1])
    with pytest.raises(TrainingError, match=r"no checkpoint that can be read in .*: omit --resume"):
        kept.load(True)
    assert kept.load(None) is None


def test_no_code_is_read_from_a_checkpoint(kept: Checkpoints) -> None:
    kept.save(1, 1, {"loss": print})  # pickled by reference, as any function
    with pytest.raises(Exception, match="Weights only load failed"):
        kept.load(None)


def test_no_folder_to_write_in_is_not_called_a_full_disk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert not Checkpoints(tmp_path / "file" / "below", IDENTITY, 1).save(1, 1, {})
    told = capsys.readouterr().err
    assert told.startswith("note: the checkpoint could not be written (Not a directory)")
    assert "must be a folder that can be written in; --checkpoint names another" in told
    assert "free" not in told


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")])
def test_no_memory_says_what_helps(
    folder: Path,
    tmp_path: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
) -> None:
    def full(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(epochs, "mix", full)
    assert run(folder, tmp_path / "out") == 1
    told = capsys.readouterr().err
    assert told.startswith("training: memory ran out: give a smaller --batch, with --no-resume; there is no checkpoint")


def test_a_full_disk_is_told_and_leaves_the_checkpoint_before(
    kept: Checkpoints, capsys: pytest.CaptureFixture[str]
) -> None:
    kept.save(1, 1, {"step": 1})
    (kept.folder / checkpoint.TEMPORARY).symlink_to("/dev/full")  # each write is a real ENOSPC
    assert not kept.save(1, 2, {"step": 2})
    told = capsys.readouterr().err
    assert "could not be written (No space left on device): free 0 MB in" in told
    assert "the checkpoint of epoch 1, step 1 is kept" in told
    assert kept.load(True) == {"step": 1}
    assert kept.save(1, 3, {"step": 3})  # there is room again
    assert kept.load(True) == {"step": 3}


def test_a_run_outlives_a_full_disk(
    folder: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(checkpoint.os, "fsync", full)
    monkeypatch.setattr(export, "package", lambda *_, **__: tmp_path)
    assert run(folder, tmp_path / "out", "--epochs", "2") == 0
    assert capsys.readouterr().err.count("No space left on device") == 2


def test_a_disk_that_is_full_at_the_end_keeps_the_training(
    folder: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(export, "package", full)
    assert run(folder, tmp_path / "out", "--epochs", "2") == 1
    told = capsys.readouterr().err
    assert "No space left on device; the checkpoint of epoch 3, step 0 is kept in" in told
    monkeypatch.setattr(export, "package", lambda *_, **__: tmp_path)
    assert run(folder, tmp_path / "out", "--epochs", "2") == 0
    assert "continues in epoch 3 after step 0" in capsys.readouterr().out


def test_a_loss_that_is_no_number_keeps_the_last_checkpoint(
    folder: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = []

    def broken(images: torch.Tensor, *rest: object, **named: float) -> tuple[torch.Tensor, torch.Tensor, float]:
        calls.append(1)
        return images * (float("nan") if len(calls) == 8 else 1), torch.arange(len(images)), 1.0

    monkeypatch.setattr(epochs, "mix", broken)
    assert run(folder, tmp_path / "out") == 1
    told = capsys.readouterr().err
    assert "the loss became nan in epoch 2: give a smaller --lr, with --no-resume; the checkpoint of epoch 2" in told
    assert len(list((tmp_path / "out" / "checkpoint").iterdir())) == 1
    assert len((tmp_path / "out" / "metrics.jsonl").read_text().splitlines()) == 1


def test_broken_weights_are_never_written(
    folder: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(State, "finite", lambda state: state.step < 3)
    assert run(folder, tmp_path / "out", "--checkpoint-minutes", "0") == 1
    assert "the loss became nan in epoch 1" in capsys.readouterr().err
    assert sorted(path.stem[-1] for path in (tmp_path / "out" / "checkpoint").iterdir()) == ["1", "2"]


def test_timed_checkpoints_come_when_due(kept: Checkpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [kept.last]
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    assert not kept.due()
    now[0] += 300
    assert kept.due()
    kept.save(1, 1, {})
    assert not kept.due()


def test_clearing_leaves_what_is_not_ours(kept: Checkpoints) -> None:
    kept.save(1, 1, {})
    (kept.folder / "notes.txt").write_text("mine")
    kept.clear()
    assert [path.name for path in kept.folder.iterdir()] == ["notes.txt"]
    with pytest.raises(TrainingError, match="no checkpoint that can be read"):
        kept.load(True)
    assert json.dumps(kept.load(None)) == "null"


def eaten() -> None:
    """As an exception out of a weak reference's callback, which is only printed."""
    with StopSignal() as stop:
        with contextlib.suppress(Reclaimed):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)
        assert stop.requested
        time.sleep(5)


def test_a_stop_that_python_has_eaten_comes_again() -> None:
    with pytest.raises(Reclaimed):
        eaten()
    time.sleep(0.6)  # it is over: nothing comes any more
