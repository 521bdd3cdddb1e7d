"""Jobs that are asked for, and attempts of them with a few lines of Python in the place of the training."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from shared.clock import new_id, now
from shared.jobs.training import job as jobs
from shared.jobs.training.job import Job
from shared.storage.base import Store, list_all
from shared.storage.memory import MemoryStore
from training.job import run as container
from training.job.run import Stop

ARGUMENTS = {"epochs": 9, "batch": 16, "device": "cpu", "no-flip": True, "shift": 1}


def asked(store: Store, data: str, **arguments: Any) -> Job:
    made = Job(id=new_id(), model="sides", data=data, by="ann", created_at=now(), arguments=ARGUMENTS | arguments)
    return jobs.create(store, made)


def names(store: Store, prefix: str) -> list[str]:
    return [info.key.removeprefix(prefix) for info in list_all(store, prefix)]


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "PAUSE", 0.05)


class Attempt:
    """Runs attempts of jobs with a few lines of Python in the place of the training; OUT is its output folder."""

    def __init__(self, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store, self.tmp_path, self.monkeypatch = store, tmp_path, monkeypatch
        self.count = 0

    def __call__(self, job: Job, script: str, *, seconds: float = 0) -> int:
        self.count += 1
        work = self.tmp_path / f"work{self.count}"
        lines = f"import sys, os, time; from pathlib import Path; OUT = Path({str(work / 'out')!r})\n{script}"
        self.monkeypatch.setattr(container, "command", lambda *_: [sys.executable, "-c", lines])
        with Stop() as stop:
            return container.run(self.store, "b", job.id, self.count, work, seconds, stop)


@pytest.fixture
def attempt(store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Attempt:
    return Attempt(store, tmp_path, monkeypatch)


CHECKPOINT = """
(OUT / "checkpoint").mkdir(parents=True, exist_ok=True)
(OUT / "checkpoint" / "000002-000000003.checkpoint").write_bytes(b"all of it")
"""
REPORT = """
OUT.mkdir(parents=True, exist_ok=True)
(OUT / "cleaning.json").write_text("{}"); (OUT / "curves.png").write_bytes(b"picture"); (OUT / "other.png").touch()
"""
PACKAGE = """
OUT.mkdir(parents=True, exist_ok=True)
(OUT / "model.onnx").write_bytes(b"model"); (OUT / "amaas.json").write_text("{}"); (OUT / "metrics.jsonl").touch()
"""
