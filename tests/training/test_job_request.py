"""What a job is given: data, a teacher, and the command line that its request becomes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from shared.clock import new_id
from shared.jobs.training import arguments, progress
from shared.jobs.training import job as jobs
from shared.jobs.training.job import Job
from shared.jobs.training.request import command_line
from shared.storage.memory import MemoryStore
from tests.training.attempts import (
    ARGUMENTS,
    PACKAGE,
    Attempt,
    _quick,
    asked,
    attempt,
    store,
)
from training.arguments import options, spelled
from training.job import run as container
from training.job.run import Stop, command
from training.options import GROUPS
from training.settings import settings

__all__ = ["_quick", "attempt", "store"]  # fixtures


@pytest.mark.parametrize(
    ("key", "data", "expected"),
    [
        ("datasets/t/rows.csv", "s3://b/datasets/t/rows.csv", "data/rows.csv"),
        ("datasets/t/a/b.png", "s3://b/datasets/t/", "data/t/a/b.png"),
    ],
)
def test_data_is_a_file_or_a_folder(store: MemoryStore, tmp_path: Path, key: str, data: str, expected: str) -> None:
    store.put(key, b"content")
    place = container.fetch_data(store, "b", data, tmp_path / "data", Stop())
    assert (tmp_path / expected).read_bytes() == b"content"
    assert (tmp_path / expected).is_relative_to(place)


def test_a_teacher_is_fetched_as_the_data_is(
    store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its package comes as a folder, which is what training.train is given; the record keeps what was asked."""
    for name in ("model.onnx", "amaas.json", "tokenizer.json"):
        store.put(f"datasets/teachers/old/{name}", name.encode())
    seen: list[dict[str, Any]] = []

    def noted(job: Job, *_: Any) -> list[str]:
        seen.append(job.arguments)
        return [sys.executable, "-c", "raise SystemExit(1)"]

    monkeypatch.setattr(container, "command", noted)
    job = asked(store, "digits", teacher="s3://b/datasets/teachers/old/")
    with Stop() as stop:
        assert container.run(store, "b", job.id, 1, tmp_path / "work", 0, stop) == 1
    folder = tmp_path / "work" / "teacher" / "old"
    assert seen == [ARGUMENTS | {"teacher": str(folder)}]
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        name: name for name in ("model.onnx", "amaas.json", "tokenizer.json")
    }
    assert jobs.read(store, job.id) == job


def test_no_teacher_is_a_reason(store: MemoryStore, attempt: Attempt) -> None:
    job = asked(store, "digits", teacher="s3://b/datasets/none")
    assert attempt(job, PACKAGE) == 1
    assert "there is nothing at s3://b/datasets/none: aws s3 cp" in progress.status(store, job)["reason"]


def test_no_data_is_a_reason(store: MemoryStore, attempt: Attempt) -> None:
    job = asked(store, "s3://b/datasets/none")
    assert attempt(job, PACKAGE) == 1
    assert "there is nothing at s3://b/datasets/none: aws s3 cp" in progress.status(store, job)["reason"]


def test_a_cancelled_job_does_nothing(store: MemoryStore, attempt: Attempt) -> None:
    job = asked(store, "digits")
    jobs.write_cancellation(store, job.id, "ann")
    assert attempt(job, "sys.exit(1)") == 0
    assert jobs.read_report(store, job.id) is None


@pytest.mark.parametrize("name", ["teach", "ou", "check"])
def test_the_training_takes_no_option_by_its_beginning(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Requests are checked by whole names: a teacher that is called teach would not be seen."""
    with pytest.raises(SystemExit):
        settings(["--data", "x", "--out", "y", *command_line({name: "model@3"})])
    assert f"unrecognized arguments: --{name}=model@3" in capsys.readouterr().err


def test_the_command_line_and_torchrun(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    job = Job(
        id=new_id(),
        model="m",
        data="d",
        by="a",
        created_at="",
        arguments=json.loads(
            '{"epochs": 2, "size": [8, 8], "no-flip": true, "bf16": false, "lr": -0.5, "licence": "-x"}'
        ),
    )
    monkeypatch.delenv("TORCHRUN", raising=False)
    line = command(job, "digits", tmp_path)
    own = ["-m", "training.train", "--data", "digits", "--out", str(tmp_path), "--name", "m", "--quiet"]
    more = ["--epochs=2", "--size", "8", "8", "--no-flip", "--lr=-0.5", "--licence=-x"]
    assert line == [sys.executable, *own, *more]
    monkeypatch.setenv("TORCHRUN", "--nproc-per-node=gpu")
    spread = command(job, "digits", tmp_path)
    assert spread[:5] == [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=gpu", "-m"]
    assert spread[4:] == line[1:]


def test_what_a_request_may_give_is_what_there_is() -> None:
    """All options but those of the job itself; a new one is to be put into one of the groups."""
    known = {spelled(name).removeprefix("--"): one for name, one, _ in options(*GROUPS.values())}
    permitted = {name for name, one in known.items() if not one.by_job}
    assert set(arguments.KNOWN) == permitted | {"no-measure"}
    assert known.keys() - permitted <= set(arguments.OWN)
    flags = {name for name in permitted if known[name].parse is None or known[name].yes_or_no}
    assert set(arguments.FLAGS) == flags | {"no-measure"}
