"""Training jobs end: events of AWS Batch that were lost, jobs that get no machine, a cancellation that missed."""

from __future__ import annotations

from typing import Any

import pytest

from functions.trainingstate import app as trainingstate
from shared.errors import Unavailable
from shared.jobs.training import job as jobs
from shared.jobs.training import progress, status
from shared.storage.memory import MemoryStore
from shared.uploads import forms, states
from tests.jobs_training.conftest import REQUEST, Queue, ask, deliver, event
from tests.proofs.lifecycle import Clock

HOUR = 3600.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("time.time", made)
    return made


@pytest.fixture(autouse=True)
def wired(store: MemoryStore, queue: Queue, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainingstate, "queue", lambda: queue)


def start() -> str:
    return str(ask("POST", "/training-jobs", REQUEST).json["id"])


def state(store: MemoryStore, job: str) -> tuple[str, str]:
    answer = progress.status(store, jobs.read(store, job))
    return answer["state"], answer.get("reason", "")


def in_batch(queue: Queue, job: str, aws_status: str, **detail: Any) -> None:
    """What AWS Batch says of the job when it is asked."""
    queue.details[f"id-of-{job}"] = event(job, aws_status, **detail)["detail"]


def look() -> list[str]:
    return trainingstate.handler({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}, None)[
        "ended"
    ]


def pass_hours(clock: Clock, hours: float) -> list[str]:
    ended = []
    for _ in range(round(hours)):
        clock.now += HOUR
        ended += look()
    return ended


@pytest.mark.parametrize(("aws_status", "end"), [("FAILED", "failed"), ("SUCCEEDED", "failed")])
def test_an_end_whose_event_was_lost_is_found(
    store: MemoryStore, queue: Queue, clock: Clock, aws_status: str, end: str
) -> None:
    job = start()
    deliver(job, "RUNNING")
    in_batch(queue, job, aws_status, ended=1)
    assert pass_hours(clock, 1) == [job]
    assert state(store, job)[0] == end
    assert pass_hours(clock, 1) == [], "once"


def test_a_job_that_aws_batch_has_forgotten_ends(store: MemoryStore, queue: Queue, clock: Clock) -> None:
    job = start()
    assert pass_hours(clock, 1) == [job]
    assert state(store, job) == ("failed", "AWS Batch has no record of this job any more")


def test_a_job_that_gets_no_machine_fails_after_a_day_and_is_stopped(
    store: MemoryStore, queue: Queue, clock: Clock
) -> None:
    job = start()
    deliver(job, "RUNNABLE")
    in_batch(queue, job, "RUNNABLE", statusReason="MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT")
    assert pass_hours(clock, 23) == []
    assert state(store, job)[0] == "queued"
    assert pass_hours(clock, 2) == [job]
    assert queue.stopped == [f"id-of-{job}"]
    ended, reason = state(store, job)
    assert ended == "failed" and "24 hours" in reason and "TrainingInstances" in reason
    assert pass_hours(clock, 2) in ([], [job])
    assert state(store, job)[0] == "failed"


def test_a_job_between_two_attempts_has_its_own_day(store: MemoryStore, queue: Queue, clock: Clock) -> None:
    job = start()
    deliver(job, "RUNNING")
    in_batch(queue, job, "RUNNING")
    pass_hours(clock, 30)
    assert state(store, job)[0] == "running", "the time limit of an attempt is AWS Batch's"
    deliver(job, "RUNNABLE", ended=1)
    in_batch(queue, job, "RUNNABLE", ended=1)
    pass_hours(clock, 20)
    assert state(store, job)[0] == "queued"
    pass_hours(clock, 6)
    assert state(store, job)[0] == "failed"


def test_a_cancelled_job_that_still_runs_is_stopped_again(store: MemoryStore, queue: Queue, clock: Clock) -> None:
    job = start()
    deliver(job, "RUNNING")
    in_batch(queue, job, "RUNNING")
    jobs.write_cancellation(store, job, "ann")  # and the call that should have stopped it failed
    pass_hours(clock, 1)
    assert queue.stopped == [f"id-of-{job}"]
    in_batch(queue, job, "FAILED", ended=1)
    pass_hours(clock, 1)
    report = status.read_report(store, job)
    assert report is not None and report.status == "FAILED"
    assert state(store, job)[0] == "cancelled"


def test_one_bad_job_never_ends_the_look(store: MemoryStore, queue: Queue, clock: Clock) -> None:
    first, second, third = start(), start(), start()
    store.put(f"training/{second}/batch.json", b"{damaged")
    for job in (first, third):
        deliver(job, "RUNNING")
        in_batch(queue, job, "FAILED", ended=1)
    assert sorted(pass_hours(clock, 1)) == sorted([first, third])


def test_aws_batch_away_ends_nothing(store: MemoryStore, queue: Queue, clock: Clock) -> None:
    job = start()
    deliver(job, "RUNNING")
    queue.trouble = Unavailable("AWS Batch cannot be reached")
    assert pass_hours(clock, 30) == []
    assert state(store, job)[0] == "running"


def test_a_jobs_end_follows_its_uploads(store: MemoryStore, clock: Clock) -> None:
    job = start()
    session = states.open_session(store, "shoes", [forms.File("model.onnx")], "ann", job)
    jobs.write_report(store, job, 1, "published")
    states.advance(store, session, "expired", code="files_missing", reason="model.onnx did not arrive: push again")
    ended, reason = state(store, job)
    assert ended == "failed" and "expired" in reason and "model.onnx did not arrive" in reason


# ---- deletion


def test_the_data_of_a_job_is_deleted_and_its_record_stays(store: MemoryStore, queue: Queue, clock: Clock) -> None:
    job = start()
    names = (f"training/{job}/checkpoint/last.pt", f"training/{job}/report/a.png", f"training/{job}/metrics.jsonl")
    for name in names:
        store.put(name, b"{}")
    assert ask("DELETE", f"/training-jobs/{job}/data").status == 409
    in_batch(queue, job, "FAILED", ended=1)
    look()
    assert ask("DELETE", f"/training-jobs/{job}/data", scopes="read train:other").status == 403
    receipt = ask("DELETE", f"/training-jobs/{job}/data", scopes="train:shoes").json
    assert (receipt["objects"], receipt["versions"], receipt["bytes"], receipt["by"]) == (3, 3, 6, "tester")
    kept = {info.key for info in store.list_page(f"training/{job}/").objects}
    assert kept.isdisjoint(names)
    assert kept >= {f"training/{job}/job.json", f"training/{job}/deletion.json"}
    assert ask("GET", f"/training-jobs/{job}").json["state"] == "failed"
    assert ask("DELETE", f"/training-jobs/{job}/data").json["objects"] == 0
