"""POST, GET and DELETE of training jobs, and what their states are made of."""

from __future__ import annotations

from typing import Any

import pytest

from shared import clock as clocks
from shared import keys
from shared.clock import new_id
from shared.errors import Unavailable
from shared.jobs.training import job as jobs
from shared.jobs.training import progress
from shared.jobs.training.runs import Refused
from shared.storage.memory import MemoryStore
from shared.uploads import forms, states
from tests.jobs_training.conftest import REQUEST, Queue, ask, deliver


def started() -> str:
    answer = ask("POST", "/training-jobs", REQUEST, scopes="train:sh*")
    assert answer.status == 202, answer.body
    return str(answer.json["id"])


def state(job: str, **query: str) -> dict[str, Any]:
    answer = ask("GET", f"/training-jobs/{job}", scopes="read", query=query)
    assert answer.status == 200, answer.body
    status: dict[str, Any] = answer.json
    return status


def test_a_job_from_the_request_to_the_version(store: MemoryStore, queue: Queue) -> None:
    job = started()
    assert queue.submitted == [job]
    status = state(job)
    assert (status["state"], status["attempts"], status["metrics"], status["next"]) == ("submitted", 0, [], 0)
    assert (status["model"], status["data"], status["by"]) == ("shoes", "fashion-mnist", "tester")
    assert status["arguments"] == REQUEST["arguments"]
    deliver(job, "RUNNABLE")
    assert state(job)["state"] == "queued"
    deliver(job, "RUNNING")
    jobs.write_report(store, job, 1, "running")
    store.put(keys.training_metrics(job), b'{"epoch": 1, "loss": 2.0}\n{"epoch": 2, "loss": 1.0}\n')
    assert (state(job)["state"], state(job)["attempts"]) == ("running", 1)
    rest = state(job, after="1")
    assert (rest["metrics"], rest["next"]) == ([{"epoch": 2, "loss": 1.0}], 2)
    assert state(job, after="7")["metrics"] == []
    jobs.write_report(store, job, 1, "publishing")
    assert state(job)["state"] == "publishing"
    session = states.open_session(store, "shoes", [forms.File("model.onnx")], "tester", job)
    jobs.write_report(store, job, 1, "published")
    deliver(job, "SUCCEEDED", ended=1)
    states.advance(store, session, "checking")
    assert state(job)["state"] == "publishing"
    states.advance(store, session, "registered", version=4)
    status = state(job)
    assert (status["state"], status["version"], status["upload_id"]) == ("succeeded", 4, job)
    assert "reason" not in status


def test_the_container_ends_before_its_event_comes(store: MemoryStore) -> None:
    job = started()
    jobs.write_report(store, job, 1, "running")
    assert state(job)["state"] == "running"
    jobs.write_report(store, job, 1, "failed", "the loss became nan: give a smaller --lr")
    deliver(job, "FAILED", ended=1, statusReason="Essential container in task exited", container={"exitCode": 1})
    status = state(job)
    assert (status["state"], status["reason"]) == ("failed", "the loss became nan: give a smaller --lr")


def test_a_reclaimed_machine_puts_the_job_back_into_the_queue(store: MemoryStore) -> None:
    job = started()
    deliver(job, "RUNNING")
    jobs.write_report(store, job, 1, "stopped")
    deliver(job, "RUNNABLE", ended=1)
    assert (state(job)["state"], state(job)["attempts"]) == ("queued", 1)
    jobs.write_report(store, job, 2, "running")
    assert (state(job)["state"], state(job)["attempts"]) == ("running", 2)


def test_a_rejected_package_is_a_failure_with_the_gates_reason(store: MemoryStore) -> None:
    job = started()
    session = states.open_session(store, "shoes", [forms.File("model.onnx")], "tester", job)
    states.advance(store, session, "rejected", code="golden", reason="outputs differ: export again")
    status = state(job)
    assert status["state"] == "failed"
    assert status["reason"] == "the package was rejected (golden): outputs differ: export again"


def test_an_ended_job_says_where_its_reports_are(store: MemoryStore) -> None:
    job = started()
    store.put(keys.training_report(job, "cleaning.json"), b"{}")
    jobs.write_report(store, job, 1, "running")
    assert "reports" not in state(job)
    jobs.write_report(store, job, 1, "failed", "the class 'cat' has no training images left")
    reports = state(job)["reports"]
    assert list(reports) == ["cleaning.json"]
    assert reports["cleaning.json"].endswith(f"training/{job}/report/cleaning.json")
    other = started()
    jobs.write_report(store, other, 1, "failed", "no such data set")
    assert state(other)["reports"] == {}


def test_without_a_queue_the_answer_names_the_two_ways(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    from functions.training import app

    monkeypatch.setattr(app, "queue", lambda: None)
    answer = ask("POST", "/training-jobs", REQUEST)
    assert answer.status == 501
    assert "amaas train --local" in answer.json["error"]
    assert "TrainingQueue=gpu" in answer.json["error"]
    assert jobs.list_ids(store) == []


def test_a_job_that_cannot_be_submitted_is_stored_as_failed(store: MemoryStore, queue: Queue) -> None:
    queue.trouble = Refused("AWS Batch answered ClientException: try again")
    assert ask("POST", "/training-jobs", REQUEST).status == 503
    [job] = jobs.list_ids(store)
    assert state(job)["state"] == "failed"
    assert "never reached the queue: AWS Batch answered ClientException" in state(job)["reason"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"model": "../x"}, "is not a model name"),
        ({"data": "/etc/passwd"}, "does not fit"),
        ({"data": "s3://other/datasets/x"}, "s3://amaas/datasets/ only"),
        ({"data": "s3://amaas/models/m"}, "under datasets/NAME"),
        ({"data": "s3://amaas/datasets/a/../../models"}, "under datasets/NAME"),
        ({"arguments": {"out": "/x"}}, "set by the job itself"),
        ({"arguments": {"checkpoint": "/x"}}, "set by the job itself"),
        ({"arguments": {"no-resume": True}}, "set by the job itself"),
        ({"arguments": {"Epochs": 3}}, "does not fit"),
        ({"arguments": {"size": [64, "--out=/x"]}}, "a number"),
        ({"arguments": {"licence": "a\nb"}}, "a command line cannot hold"),
        ({"arguments": {"x": {"a": 1}}}, "does not fit"),
        ({"arguments": {"teacher": "shoes@production"}}, "s3://amaas/datasets/NAME/ copies its package folder"),
        ({"arguments": {"teacher": ["shoes"]}}, "cannot read the teacher"),
        ({"arguments": {"teacher": "s3://other/datasets/x"}}, "s3://amaas/datasets/ only"),
        ({"arguments": {"teacher": "s3://amaas/blobs/sha256/x"}}, "under datasets/NAME"),
        ({"argument": {}}, "does not fit"),
    ],
)
def test_what_is_refused_leaves_nothing(store: MemoryStore, queue: Queue, change: dict[str, Any], why: str) -> None:
    answer = ask("POST", "/training-jobs", REQUEST | change)
    assert answer.status == 400
    assert why in answer.json["error"]
    assert (jobs.list_ids(store), queue.submitted) == ([], [])


def test_a_teacher_is_a_package_beside_the_data(queue: Queue, store: MemoryStore) -> None:
    for teacher in ("s3://amaas/datasets/teachers/shoes", False):
        assert ask("POST", "/training-jobs", REQUEST | {"arguments": {"teacher": teacher}}).status == 202
    assert len(queue.submitted) == 2


def test_who_may(store: MemoryStore) -> None:
    job = started()
    assert ask("POST", "/training-jobs", REQUEST, scopes="write promote infer").status == 403
    assert ask("POST", "/training-jobs", REQUEST, scopes="train:boots").status == 403
    assert ask("GET", f"/training-jobs/{job}", scopes="infer").status == 403
    assert ask("GET", f"/training-jobs/{job}", scopes="read:boots").status == 403
    assert ask("GET", f"/training-jobs/{job}", scopes="train:shoes").status == 200
    assert ask("DELETE", f"/training-jobs/{job}", scopes="read write").status == 403
    assert ask("GET", "/training-jobs", scopes="read:boots").json["jobs"] == []
    assert ask("GET", "/training-jobs/nonsense").status == 400
    assert ask("GET", f"/training-jobs/{new_id()}").status == 404


def test_the_list_is_newest_first_a_page_at_a_time(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1_700_000_000, 1_700_000_100))
    monkeypatch.setattr(clocks.time, "time", lambda: next(clock))
    ids = [started() for _ in range(5)]
    store.put("training/strange/file", b"")
    first = ask("GET", "/training-jobs", query={"limit": "3"}).json
    rest = ask("GET", "/training-jobs", query={"limit": "3", "next": first["next"]}).json
    assert [job["id"] for job in first["jobs"] + rest["jobs"]] == ids[::-1]
    assert rest["next"] is None
    assert ask("GET", "/training-jobs", query={"next": "nonsense"}).status == 400


def test_cancelling(store: MemoryStore, queue: Queue) -> None:
    job = started()
    assert ask("DELETE", f"/training-jobs/{job}").json["state"] == "cancelled"
    assert queue.stopped == [f"id-of-{job}"]
    deliver(job, "FAILED", ended=1, statusReason="cancelled")
    assert state(job)["state"] == "cancelled"
    again = ask("DELETE", f"/training-jobs/{job}")
    assert (again.status, "has ended (cancelled)" in again.json["error"]) == (409, True)


def test_a_cancellation_that_did_not_reach_the_queue_is_repeated(store: MemoryStore, queue: Queue) -> None:
    job = started()
    queue.trouble = Unavailable("AWS Batch is out of reach; try again")
    assert ask("DELETE", f"/training-jobs/{job}").status == 503
    queue.trouble = None
    assert ask("DELETE", f"/training-jobs/{job}").status == 200
    assert queue.stopped == [f"id-of-{job}"]


def test_aws_batch_is_queried_where_no_event_came(
    store: MemoryStore, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = started()
    queue.details[f"id-of-{job}"] = {"jobId": f"id-of-{job}", "status": "RUNNING", "attempts": []}
    assert state(job)["state"] == "submitted", "AWS Batch reported just now"
    monkeypatch.setattr(progress, "REFRESH_AFTER", -2.0)
    assert state(job)["state"] == "running"
    queue.trouble = Unavailable("AWS Batch is out of reach; try again")
    assert state(job)["state"] == "running", "the stored status is still an answer"
    queue.trouble = None
    queue.details.clear()
    status = state(job)
    assert (status["state"], status["reason"]) == ("failed", "AWS Batch has no record of this job any more")


def test_a_job_that_aws_batch_does_not_know_has_failed_after_any_attempt(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its report is newer than the stored one, of the second attempt here: else whoever follows the job waits on."""
    job = started()
    deliver(job, "RUNNING", ended=1)
    monkeypatch.setattr(progress, "REFRESH_AFTER", -2.0)
    status = state(job)
    assert (status["state"], status["reason"]) == ("failed", "AWS Batch has no record of this job any more")


def test_a_job_that_was_never_submitted_has_failed(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    job = jobs.create(
        store, jobs.Job(id=new_id(), model="m", data="d", by="ann", created_at="2026-01-01T00:00:00.000Z")
    )
    assert state(job.id)["state"] == "failed"
    assert "never reached the queue" in state(job.id)["reason"]
