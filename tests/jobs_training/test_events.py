"""Events of AWS Batch: twice, late, in any order; and what they say of failures."""

from __future__ import annotations

import random
from typing import Any

import pytest

from shared.clock import new_id, now
from shared.jobs.training import job as jobs
from shared.jobs.training import progress, status
from shared.jobs.training.job import Job
from shared.storage.memory import MemoryStore
from tests.jobs_training.conftest import deliver, event

# (status, attempts that have ended): a spot machine was reclaimed once
STORY = [
    *(("SUBMITTED", 0), ("PENDING", 0), ("RUNNABLE", 0), ("STARTING", 0), ("RUNNING", 0)),
    *(("RUNNABLE", 1), ("STARTING", 1), ("RUNNING", 1)),
]


@pytest.fixture
def job(store: MemoryStore) -> Job:
    return jobs.create(store, Job(id=new_id(), model="m", data="d", by="ann", created_at=now()))


def report(store: MemoryStore, job: Job) -> status.AwsBatchReport:
    stored = status.read_report(store, job.id)
    assert stored is not None
    return stored


@pytest.mark.parametrize("seed", range(6))
def test_duplicated_and_reordered_events_end_where_the_job_is(store: MemoryStore, job: Job, seed: int) -> None:
    events = STORY * 3
    random.Random(seed).shuffle(events)
    stored = []
    for state, ended in events:
        deliver(job.id, state, ended=ended)
        stored.append(report(store, job).progress)
    assert stored == sorted(stored), "a report never goes back"
    assert (report(store, job).status, report(store, job).ended) == ("RUNNING", 1)


@pytest.mark.parametrize(("last", "other"), [("SUCCEEDED", "FAILED"), ("FAILED", "SUCCEEDED")])
def test_a_final_report_stays(store: MemoryStore, job: Job, last: str, other: str) -> None:
    deliver(job.id, last, ended=1)
    for state, ended in [*STORY, (other, 2), ("RUNNING", 5)]:
        deliver(job.id, state, ended=ended)
    assert (report(store, job).status, report(store, job).ended) == (last, 1)


def test_events_of_other_jobs_are_ignored(store: MemoryStore, job: Job) -> None:
    deliver(job.id, "RUNNING")
    before = {info.key: info.etag for info in store.list_page("").objects}
    assert deliver("event-test", "FAILED")["holds"] is None
    assert deliver(new_id(), "FAILED")["holds"] is None
    assert deliver(job.id, "FAILED", aws_id="another-with-the-same-name")["holds"] == "RUNNING"
    assert deliver(job.id, "NEW_STATUS")["holds"] is None
    assert {info.key: info.etag for info in store.list_page("").objects} == before


EXITED = "Essential container in task exited"
FAILURES: list[tuple[dict[str, Any], str]] = [
    (
        {"statusReason": "Host EC2 (instance i-0a1) terminated."},
        "the spot machine was reclaimed in each of 2",
    ),
    (
        {"statusReason": EXITED, "container": {"exitCode": 137}},
        "memory (exit code 137): use a smaller batch",
    ),
    (
        {
            "statusReason": EXITED,
            "container": {"exitCode": 137, "reason": "OutOfMemoryError: Container killed due to memory usage"},
        },
        "ran out of memory",
    ),
    ({"statusReason": EXITED, "container": {"exitCode": 75}}, "interrupted in each of 2 attempts"),
    ({"statusReason": EXITED, "container": {"exitCode": 3}}, "exit code 3; its log is job/default/1"),
    (
        {
            "statusReason": "Task failed to start",
            "container": {"reason": "CannotPullContainerError: pull access denied"},
        },
        "the image could not be pulled (CannotPullContainerError: pull access denied): check TrainingImage",
    ),
    (
        {"statusReason": "Job attempt duration exceeded timeout", "container": {"exitCode": 137}},
        "the time limit",
    ),
    ({"statusReason": "Unable to assume role"}, "Unable to assume role"),
    ({}, "AWS Batch gave no reason"),
]


@pytest.mark.parametrize(("detail", "why"), FAILURES, ids=[why[:30] for _, why in FAILURES])
def test_failures_say_what_to_do(store: MemoryStore, job: Job, detail: dict[str, Any], why: str) -> None:
    deliver(job.id, "FAILED", ended=2, **{"container": {}, **detail})
    answer = progress.status(store, job)
    assert answer["state"] == "failed"
    assert why in answer["reason"]


def test_a_job_that_cannot_start_says_why_it_waits(store: MemoryStore, job: Job) -> None:
    deliver(job.id, "RUNNABLE", statusReason="MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - more GPUs than there are")
    answer = progress.status(store, job)
    assert answer["state"] == "queued"
    assert "MISCONFIGURATION" in answer["reason"]


def test_concurrent_writers_lose_no_newer_report(store: MemoryStore, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    deliver(job.id, "RUNNABLE")
    original, once = store.put, [True]

    def put_late(key: str, body: bytes, **options: Any) -> str:
        if options.get("if_match") and once.pop():
            once.append(False)
            status.record(store, event(job.id, "FAILED", ended=1)["detail"], now())
        return original(key, body, **options)

    monkeypatch.setattr(store, "put", put_late)
    deliver(job.id, "RUNNING")
    assert report(store, job).status == "FAILED"
