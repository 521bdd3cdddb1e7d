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
from tests.jobs_training.conftest import event, tell

# (status, attempts that have ended): a spot machine was taken back once
STORY = [
    *(("SUBMITTED", 0), ("PENDING", 0), ("RUNNABLE", 0), ("STARTING", 0), ("RUNNING", 0)),
    *(("RUNNABLE", 1), ("STARTING", 1), ("RUNNING", 1)),
]


@pytest.fixture
def job(store: MemoryStore) -> Job:
    return jobs.create(store, Job(id=new_id(), model="m", data="d", by="ann", created_at=now()))


def word(store: MemoryStore, job: Job) -> status.Word:
    found: status.Word = jobs.record(store, job.id, "batch", status.WORD)
    return found


@pytest.mark.parametrize("seed", range(6))
def test_duplicated_and_reordered_events_end_where_the_job_is(store: MemoryStore, job: Job, seed: int) -> None:
    told = STORY * 3
    random.Random(seed).shuffle(told)
    seen = []
    for state, ended in told:
        tell(job.id, state, ended=ended)
        seen.append(word(store, job).place)
    assert seen == sorted(seen), "a word never goes back"
    assert (word(store, job).status, word(store, job).ended) == ("RUNNING", 1)


@pytest.mark.parametrize(("last", "other"), [("SUCCEEDED", "FAILED"), ("FAILED", "SUCCEEDED")])
def test_the_last_word_stays(store: MemoryStore, job: Job, last: str, other: str) -> None:
    tell(job.id, last, ended=1)
    for state, ended in [*STORY, (other, 2), ("RUNNING", 5)]:
        tell(job.id, state, ended=ended)
    assert (word(store, job).status, word(store, job).ended) == (last, 1)


def test_others_jobs_are_none_of_ours(store: MemoryStore, job: Job) -> None:
    tell(job.id, "RUNNING")
    before = {info.key: info.etag for info in store.list_page("").objects}
    assert tell("event-test", "FAILED")["holds"] is None
    assert tell(new_id(), "FAILED")["holds"] is None
    assert tell(job.id, "FAILED", number="another-with-the-same-name")["holds"] == "RUNNING"
    assert tell(job.id, "NEW_STATUS")["holds"] is None
    assert {info.key: info.etag for info in store.list_page("").objects} == before


EXITED = "Essential container in task exited"
FAILURES: list[tuple[dict[str, Any], str]] = [
    (
        {"statusReason": "Host EC2 (instance i-0a1) terminated."},
        "the spot machine was taken back in each of 2",
    ),
    ({"statusReason": EXITED, "container": {"exitCode": 137}}, "killed for memory (exit code 137): give a smaller"),
    (
        {
            "statusReason": EXITED,
            "container": {"exitCode": 137, "reason": "OutOfMemoryError: Container killed due to memory usage"},
        },
        "killed for memory",
    ),
    ({"statusReason": EXITED, "container": {"exitCode": 75}}, "interrupted in each of 2 attempts"),
    ({"statusReason": EXITED, "container": {"exitCode": 3}}, "exit code 3; its log is job/default/1"),
    (
        {
            "statusReason": "Task failed to start",
            "container": {"reason": "CannotPullContainerError: pull access denied"},
        },
        "the image could not be pulled (CannotPullContainerError: pull access denied): see TrainingImage",
    ),
    ({"statusReason": "Job attempt duration exceeded timeout", "container": {"exitCode": 137}}, "it took too long"),
    ({"statusReason": "Unable to assume role"}, "Unable to assume role"),
    ({}, "AWS Batch gave no reason"),
]


@pytest.mark.parametrize(("detail", "why"), FAILURES, ids=[why[:30] for _, why in FAILURES])
def test_failures_say_what_to_do(store: MemoryStore, job: Job, detail: dict[str, Any], why: str) -> None:
    tell(job.id, "FAILED", ended=2, **{"container": {}, **detail})
    found = progress.status(store, job)
    assert found["state"] == "failed"
    assert why in found["reason"]


def test_a_job_that_cannot_start_says_why_it_waits(store: MemoryStore, job: Job) -> None:
    tell(job.id, "RUNNABLE", statusReason="MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - more GPUs than any machine has")
    found = progress.status(store, job)
    assert found["state"] == "queued"
    assert "MISCONFIGURATION" in found["reason"]


def test_writers_that_meet_lose_no_later_word(store: MemoryStore, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    tell(job.id, "RUNNABLE")
    put, once = store.put, [True]

    def late(key: str, body: bytes, **options: Any) -> str:
        if options.get("if_match") and once.pop():
            once.append(False)
            status.note(store, event(job.id, "FAILED", ended=1)["detail"], now())
        return put(key, body, **options)

    monkeypatch.setattr(store, "put", late)
    tell(job.id, "RUNNING")
    assert word(store, job).status == "FAILED"
