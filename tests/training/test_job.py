"""The container's process: from the request to a version on the embedded cloud's S3, and with trainings that fail."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared import keys
from shared.config import Config
from shared.ingest import pipeline
from shared.ingest.verdict import Limits
from shared.jobs.training import job as jobs
from shared.jobs.training import progress
from shared.jobs.training.job import Job
from shared.registry.log import Log
from shared.storage.base import Unavailable
from shared.storage.memory import MemoryStore
from shared.uploads import listing, states
from tests import servers
from tests.training.attempts import (
    CHECKPOINT,
    PACKAGE,
    REPORT,
    Attempt,
    _quick,
    asked,
    attempt,
    names,
    store,
)
from training.job import run as container
from training.job.run import Stop

__all__ = ["_quick", "attempt", "store"]  # fixtures

ROOT = Path(__file__).resolve().parents[2]
# ---- the real thing


def started(store: Any, endpoint: str, job: Job, work: Path, attempt: int, **more: str) -> subprocess.Popen[str]:
    env = os.environ | {
        "BUCKET": store.bucket,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_BATCH_JOB_ATTEMPT": str(attempt),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        "TORCHRUN": "",
        **more,
    }
    line = [sys.executable, "-m", "training.job.run", job.id, "--work", str(work), "--minutes", "60"]
    return subprocess.Popen(line, env=env, stderr=subprocess.PIPE, text=True, cwd=work.parent)


def until(what: Callable[[], Any], process: subprocess.Popen[str]) -> None:
    """Wait for it as long as the process runs: how long that takes says how busy the machine is."""
    while not what():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.1)


def stopped_attempt(store: Any, endpoint: str, job: Job, folder: Path) -> list[dict[str, Any]]:
    """The first attempt, which gets SIGTERM in its fourth epoch; returns the metrics that are in the bucket then."""
    held = folder / "18"  # of 5 steps an epoch
    process = started(store, endpoint, job, folder / "one", 1, HOLD=str(held))
    until(lambda: held.exists() and progress.read_metrics(store, job.id), process)
    assert progress.status(store, job)["state"] == "running"
    process.send_signal(signal.SIGTERM)
    errors = process.communicate()[1]
    assert process.returncode == 75, errors
    assert "stopped by SIGTERM" in errors
    assert len(names(store, keys.training_checkpoints(job.id))) == 2
    status = jobs.read_report(store, job.id)
    assert status is not None
    assert (status.attempt, status.phase) == (1, "stopped")
    return progress.read_metrics(store, job.id)


def test_a_job_is_stopped_goes_on_elsewhere_and_becomes_a_version(
    ministack_endpoint: str, folder: Path, tmp_path: Path
) -> None:
    store = servers.bucket(ministack_endpoint)
    for path in folder.rglob("*.png"):
        store.put(f"datasets/sides/{path.relative_to(folder)}", path.read_bytes())
    job = asked(store, f"s3://{store.bucket}/datasets/sides", model="tests.training.held:Held")
    before = stopped_attempt(store, ministack_endpoint, job, tmp_path)
    assert [row["epoch"] for row in before] == [1, 2, 3]

    second = started(store, ministack_endpoint, job, tmp_path / "two", 2)
    errors = second.communicate()[1]
    assert second.returncode == 0, errors
    after = progress.read_metrics(store, job.id)
    assert after[: len(before)] == before, "it went on, and did not begin anew"
    assert [row["epoch"] for row in after] == list(range(1, 10))
    assert names(store, keys.training_checkpoints(job.id)) == []
    reports = ["calibration.png", "cleaning.json", "confusion.png", "curves.png"]
    assert names(store, keys.training_reports(job.id)) == reports
    sent = names(store, f"uploads/training-{job.id}/files/")
    assert {"model.onnx", "amaas.json", "golden.npz"} <= set(sent)
    assert not any(name.endswith((".jsonl", ".checkpoint")) for name in sent)
    assert progress.status(store, job)["state"] == "publishing"

    with Stop() as stop:
        done = container.run(store, store.bucket, job.id, 3, tmp_path / "three", 60, stop)
    assert done == 0, "an attempt after the end finds that there is nothing to do"
    key = f"uploads/training-{job.id}/files/{sent[0]}"
    upload = pipeline.on_object(Log(store), Config(bucket=store.bucket), key, {}, Limits())
    assert upload is not None
    assert (upload.state, upload.by) == ("registered", "ann"), upload.reason
    state = progress.status(store, job)
    assert (state["state"], state["version"], state["attempts"]) == ("succeeded", 1, 3)


# ---- trainings that end otherwise


WARNING = "print('training: the checkpoint could not be written; the training goes on', file=sys.stderr, flush=True)\n"


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("print('training: no such option', file=sys.stderr); sys.exit(1)", "no such option"),
        ("print('noise', file=sys.stderr); sys.exit(3)", "the training ended with exit code 3: noise"),
        ("os.kill(os.getpid(), 9)", "most often because memory ran out"),
        (f"{WARNING}os.kill(os.getpid(), 9)", "most often because memory ran out"),
        (
            "print('note: no checkpoint; the training goes on', file=sys.stderr)\nraise ValueError('a bug')",
            "exit code 1: ValueError: a bug",
        ),
        (f"{WARNING}print('training: no such option', file=sys.stderr); sys.exit(1)", "no such option"),
        ("", "is not a package: it has no model.onnx"),
    ],
)
def test_a_failure_is_told_and_keeps_the_checkpoint(
    store: MemoryStore, attempt: Attempt, script: str, why: str
) -> None:
    job = asked(store, "digits")
    store.put(keys.training_checkpoint(job.id, "000001-000000001.checkpoint"), b"before")
    assert attempt(job, script) == 1
    found = progress.status(store, job)
    assert found["state"] == "failed"
    assert why in found["reason"]
    assert names(store, keys.training_checkpoints(job.id)) == ["000001-000000001.checkpoint"]
    assert names(store, "uploads/") == []


@pytest.mark.parametrize(("end", "code"), [("sys.exit(1)", 1), ("sys.exit(75)", 75), (PACKAGE, 0)])
def test_reports_go_out_however_it_ends(store: MemoryStore, attempt: Attempt, end: str, code: int) -> None:
    job = asked(store, "digits")
    assert attempt(job, REPORT + end) == code
    assert names(store, keys.training_reports(job.id)) == ["cleaning.json", "curves.png"]
    urls = progress.report_urls(store, job.id, 60)
    assert urls["curves.png"].endswith(f"/training/{job.id}/report/curves.png")
    assert "curves.png" not in " ".join(names(store, "uploads/"))


def test_checkpoints_go_out_while_it_runs_and_come_back(store: MemoryStore, attempt: Attempt) -> None:
    job = asked(store, "digits")
    store.put(keys.training_checkpoint(job.id, "000001-000000001.checkpoint"), b"before")
    check = "assert (OUT / 'checkpoint' / '000001-000000001.checkpoint').read_bytes() == b'before'\n"
    move = "(OUT / 'checkpoint' / '000001-000000001.checkpoint').unlink()\n"
    kill = "time.sleep(0.5); os.kill(os.getppid(), 15); time.sleep(9)"  # a training that hears no signal in time
    assert attempt(job, check + CHECKPOINT + move + kill) == 75
    assert names(store, keys.training_checkpoints(job.id)) == ["000002-000000003.checkpoint"]
    assert attempt(job, PACKAGE) == 0
    assert names(store, keys.training_checkpoints(job.id)) == []
    assert progress.status(store, job)["state"] == "publishing"


def test_a_package_is_never_put_together_from_two_trainings(
    store: MemoryStore, attempt: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first attempt dies between two files of its upload."""
    job, put = asked(store, "digits"), store.put

    def dying(key: str, body: bytes, **options: Any) -> str:
        if key.endswith("/files/amaas.json"):
            raise Unavailable("gone")
        return put(key, body, **options)

    monkeypatch.setattr(store, "put", dying)
    assert attempt(job, PACKAGE) == 75
    assert names(store, f"uploads/training-{job.id}/files/") == ["model.onnx"]
    monkeypatch.setattr(store, "put", put)
    assert attempt(job, PACKAGE.replace(b'b"model"'.decode(), 'b"second"')) == 0
    assert store.get(f"uploads/training-{job.id}/files/model.onnx").body == b"second"
    assert states.missing_files(store, states.read_session(store, jobs.upload_id(job.id))) == []
    assert [upload.upload_id for upload in listing.of_model(store, "sides")[0]] == [jobs.upload_id(job.id)]


def test_a_bucket_that_is_away_for_a_while_stops_no_training(
    store: MemoryStore, attempt: Attempt, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    job, put, away = asked(store, "digits"), store.put, [4]

    def shaky(key: str, body: bytes, **options: Any) -> str:
        if "checkpoint" in key and away[0]:
            away[0] -= 1
            raise Unavailable("the store answered NoSuchBucket")
        return put(key, body, **options)

    monkeypatch.setattr(store, "put", shaky)
    assert attempt(job, CHECKPOINT + "time.sleep(1)\n" + PACKAGE) == 0
    assert (
        "note: progress was not sent (the store answered NoSuchBucket); the training goes on" in capfd.readouterr().err
    )


def test_a_bucket_that_is_gone_is_told_and_the_job_is_to_come_again(
    store: MemoryStore, attempt: Attempt, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def gone(*_: Any, **__: Any) -> Any:
        raise Unavailable("the store answered NoSuchBucket for training/; try again")

    job = asked(store, "digits")
    monkeypatch.setattr(store, "get", gone)
    assert attempt(job, PACKAGE) == 75
    assert "training: the store answered NoSuchBucket" in capfd.readouterr().err


def test_a_stop_that_cannot_be_noted_is_to_come_again_too(
    store: MemoryStore, attempt: Attempt, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """AWS Batch looks at the exit code, and only 75 is tried again."""
    job, put = asked(store, "digits"), store.put

    def away(key: str, body: bytes, **options: Any) -> str:
        if b"stopped" in body:
            raise Unavailable("the store is out of reach")
        return put(key, body, **options)

    monkeypatch.setattr(store, "put", away)
    assert attempt(job, "sys.exit(75)") == 75
    assert "training: the store is out of reach; the checkpoints that reached the bucket" in capfd.readouterr().err


LATE = (
    PACKAGE
    + """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)  # all is written, and the next thing is the end
os.kill(os.getppid(), signal.SIGTERM)
time.sleep(0.2)
"""
)


def test_a_package_that_is_finished_when_sigterm_comes_is_published(store: MemoryStore, attempt: Attempt) -> None:
    job = asked(store, "digits")
    assert attempt(job, LATE) == 0
    assert states.missing_files(store, states.read_session(store, jobs.upload_id(job.id))) == []
    assert progress.status(store, job)["state"] == "publishing"


def test_a_package_that_is_finished_when_the_user_cancels_is_not(
    store: MemoryStore, attempt: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cancel is noted while the training runs, and AWS Batch then sends SIGTERM."""
    job, train = asked(store, "digits"), container.train

    def cancelled(*given: Any) -> tuple[int, str]:
        jobs.write_cancellation(store, job.id, "ann")
        return train(*given)

    monkeypatch.setattr(container, "train", cancelled)
    assert attempt(job, LATE) == 75
    assert names(store, "uploads/") == []
    assert progress.status(store, job)["state"] == "cancelled"


def test_a_disk_that_is_full_says_what_to_deploy(
    store: MemoryStore, attempt: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> str:
        raise OSError(28, "No space left on device")

    store.put("datasets/large/a", b"x" * 1000)
    job = asked(store, "s3://b/datasets/large")
    monkeypatch.setattr(store, "download", full)
    assert attempt(job, PACKAGE) == 1
    assert "No space left on device: deploy with a larger TrainingDisk" in progress.status(store, job)["reason"]
    usage = container.shutil.disk_usage("/")
    monkeypatch.setattr(container.shutil, "disk_usage", lambda _: usage._replace(free=10))
    assert attempt(job, PACKAGE) == 1
    assert "has 1,000 bytes, more than the 10 that are free" in progress.status(store, job)["reason"]
