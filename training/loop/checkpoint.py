"""Checkpoints on disk: written whole or not at all, the last two kept, read back only for the very same run.

A file is the SHA-256 of what follows, then torch's own format. Its name is the place in the run, so names sort.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from training.arguments import options
from training.data.dataset import Dataset
from training.errors import TrainingError, full
from training.options import GROUPS, Settings

FORMAT = 3
KEPT = 2
PATTERN = "[0-9]*.checkpoint"
TEMPORARY = "writing.tmp"


class Damaged(Exception):
    """A checkpoint that is not what was written."""


def fingerprint(settings: Settings, data: Dataset, processes: int = 1, teacher: str | None = None) -> dict[str, str]:
    """All that decides the weights, as text that can be compared and shown.

    processes: that share each batch. teacher: the reference of what --teacher named: an alias may move meanwhile.
    """
    identity = {name for name, option, _ in options(*GROUPS.values()) if option.identity}
    fixed = {name.replace("_", "-"): _text(value) for name, value in settings.values().items() if name in identity}
    contents = {f"data ({split})": digest for split, digest in data.digests.items()}
    versions = {"torch": str(torch.__version__), "checkpoint format": str(FORMAT)}
    others = {"labels": ", ".join(data.labels), "processes": str(processes), "teacher": str(teacher)}
    return {**fixed, **contents, **others, **versions}


def _text(value: Any) -> str:
    return str(list(value) if isinstance(value, tuple) else value)


class Checkpoints:
    """The checkpoints of one run in a folder of its own. minutes: between two timed ones."""

    def __init__(self, folder: Path, identity: dict[str, str], minutes: float) -> None:
        self.folder, self.identity, self.seconds = folder, identity, minutes * 60
        self.last = time.monotonic()

    def files(self) -> list[Path]:
        return sorted(self.folder.glob(PATTERN))

    def due(self) -> bool:
        return time.monotonic() - self.last >= self.seconds

    def save(self, epoch: int, step: int, state: dict[str, Any]) -> bool:
        """Write a checkpoint, then remove all but the last two. False if it could not be written, which is reported.

        A full disk does not stop the training: the checkpoints before stay, and the next one is tried in its turn.
        """
        self.last = time.monotonic()
        buffer = io.BytesIO()
        torch.save({"fingerprint": self.identity, "state": state}, buffer)
        body = buffer.getbuffer()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _write(self.folder / f"{epoch:06d}-{step:09d}.checkpoint", hashlib.sha256(body).digest(), body)
        except OSError as error:
            with contextlib.suppress(OSError):
                (self.folder / TEMPORARY).unlink()
            print(
                f"note: the checkpoint could not be written ({error.strerror}): "
                f"{_advice(error, self.folder, len(body))}; {self.summary()}, the training goes on",
                file=sys.stderr,
            )
            return False
        for old in self.files()[:-KEPT]:
            old.unlink()
        return True

    def load(self, resume: bool | None) -> dict[str, Any] | None:
        """The state to go on from; None to begin. Raises TrainingError if it is another run's.

        resume: None takes a checkpoint if there is one, True insists on one, False removes what is there.
        """
        if resume is False:
            self.clear()
        for path in reversed(self.files()):
            try:
                saved = _read(path)
            except Damaged:
                print(f"note: the checkpoint {path} is damaged: removed, the one before is tried", file=sys.stderr)
                path.unlink()
                continue
            self._compare(saved["fingerprint"])
            state: dict[str, Any] = saved["state"]
            return state
        if resume:
            raise TrainingError(f"there is no checkpoint that can be read in {self.folder}: omit --resume")
        return None

    def _compare(self, other: dict[str, str]) -> None:
        names = sorted(self.identity.keys() | other.keys())
        changed = [
            f"{name} was {other.get(name, 'not known')}, is {self.identity.get(name, 'not known')}"
            for name in names
            if self.identity.get(name) != other.get(name)
        ]
        if changed:
            raise TrainingError(
                f"the checkpoint in {self.folder} is another run's: {'; '.join(changed)}. Give its settings and data "
                "to continue it, another --checkpoint folder, or --no-resume to remove it and begin anew"
            )

    def summary(self) -> str:
        """What there is to continue from, for messages."""
        files = self.files()
        if not files:
            return f"there is no checkpoint in {self.folder} yet"
        epoch, step = files[-1].stem.split("-")
        return f"the checkpoint of epoch {int(epoch)}, step {int(step)} is kept in {self.folder}"

    def clear(self) -> None:
        """Remove the checkpoints, and the folder if nothing else is in it."""
        for path in [*self.files(), self.folder / TEMPORARY]:
            path.unlink(missing_ok=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()


def _advice(error: OSError, folder: Path, size: int) -> str:
    if full(error):
        return f"free {size / 1e6:.0f} MB in {folder}"
    return f"{folder} must be a folder that can be written in; --checkpoint names another"


def _write(path: Path, *parts: bytes | memoryview) -> None:
    """The whole file or none of it, even if the power goes: data on disk before the name, then the name."""
    temporary = path.with_name(TEMPORARY)
    with temporary.open("wb") as file:
        file.writelines(parts)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read(path: Path) -> dict[str, Any]:
    try:
        body = path.read_bytes()
    except OSError as error:
        raise TrainingError(f"the checkpoint {path} cannot be read ({error.strerror})") from error
    if hashlib.sha256(memoryview(body)[32:]).digest() != body[:32]:
        raise Damaged(path)
    saved: dict[str, Any] = torch.load(io.BytesIO(body[32:]), map_location="cpu", weights_only=True)
    return saved


class Reclaimed(BaseException):
    """SIGTERM: the machine is wanted back. Like KeyboardInterrupt, it is no error that `except Exception` may eat."""


AGAIN = 0.5  # seconds


class StopSignal:
    """SIGTERM within `with`. While `waits` is set the signal is only noted, in `requested`; else Reclaimed is raised.

    It is raised again while the block goes on: Python eats what is raised in a weak reference's callback, for one.
    """

    def __init__(self) -> None:
        self.requested, self.waits = False, False

    def __enter__(self) -> StopSignal:
        self._before = None
        if threading.current_thread() is threading.main_thread():  # Python sets handlers nowhere else
            self._before = signal.signal(signal.SIGTERM, self._note)
            self._alarm = signal.signal(signal.SIGALRM, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._alarm)
            signal.signal(signal.SIGTERM, self._before)

    def _note(self, _signal: int, _frame: FrameType | None) -> None:
        self.requested = True
        if not self.waits:
            signal.setitimer(signal.ITIMER_REAL, AGAIN)
            raise Reclaimed
