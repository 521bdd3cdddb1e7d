"""POST, GET and DELETE of training jobs, and what their states are made of."""

from __future__ import annotations

from typing import Any

import pytest

from shared import clock as ids
from shared import keys
from shared.clock import new_id
from shared.errors import Unavailable
from shared.jobs.training import job as jobs
from shared.jobs.training import progress
from shared.storage.memory import MemoryStore
from shared.uploads import states
from tests.jobs_training.conftest import ASKED, Queue, ask, tell


def started() -> str:
    answer = ask("POST", "/training-jobs", ASKED, scopes="train:sh*")
    assert answer.status == 202, answer.body
    return str(answer.json["id"])


def state(job: str, **query: str) -> dict[str, Any]:
    answer = ask("GET", f"/training-jobs/{job}", scopes="read", query=query)
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json
    return found


def test_a_job_from_the_request_to_the_version(store: MemoryStore, queue: Queue) -> None:
    job = started()
    assert queue.submitted == [job]
    found = state(job)
    assert (found["state"], found["attempts"], found["metrics"], found["next"]) == ("submitted", 0, [], 0)
    assert (found["model"], found["data"], found["by"]) == ("shoes", "fashion-mnist", "tester")
    assert found["arguments"] == ASKED["arguments"]
    tell(job, "RUNNABLE")
    assert state(job)["state"] == "queued"
    tell(job, "RUNNING")
    jobs.say(store, job, 1, "running")
    store.put(keys.training_metrics(job), b'{"epoch": 1, "loss": 2.0}\n{"epoch": 2, "loss": 1.0}\n')
    assert (state(job)["state"], state(job)["attempts"]) == ("running", 1)
    rest = state(job, after="1")
    assert (rest["metrics"], rest["next"]) == ([{"epoch": 2, "loss": 1.0}], 2)
    assert state(job, after="7")["metrics"] == []
    jobs.say(store, job, 1, "publishing")
    assert state(job)["state"] == "publishing"
    session = states.open_session(store, "shoes", [states.File("model.onnx")], "tester", job)
    jobs.say(store, job, 1, "published")
    tell(job, "SUCCEEDED", ended=1)
    states.advance(store, session, "checking")
    assert state(job)["state"] == "publishing"
    states.advance(store, session, "registered", version=4)
    found = state(job)
    assert (found["state"], found["version"], found["upload_id"]) == ("succeeded", 4, job)
    assert "reason" not in found


def test_the_container_ends_before_its_event_comes(store: MemoryStore) -> None:
    job = started()
    jobs.say(store, job, 1, "running")
    assert state(job)["state"] == "running"
    jobs.say(store, job, 1, "failed", "the loss became nan: give a smaller --lr")
    tell(job, "FAILED", ended=1, statusReason="Essential container in task exited", container={"exitCode": 1})
    found = state(job)
    assert (found["state"], found["reason"]) == ("failed", "the loss became nan: give a smaller --lr")


def test_a_reclaimed_machine_puts_the_job_back_into_the_queue(store: MemoryStore) -> None:
    job = started()
    tell(job, "RUNNING")
    jobs.say(store, job, 1, "stopped")
    tell(job, "RUNNABLE", ended=1)
    assert (state(job)["state"], state(job)["attempts"]) == ("queued", 1)
    jobs.say(store, job, 2, "running")
    assert (state(job)["state"], state(job)["attempts"]) == ("running", 2)


def test_a_rejected_package_is_a_failure_with_the_gates_reason(store: MemoryStore) -> None:
    job = started()
    session = states.open_session(store, "shoes", [states.File("model.onnx")], "tester", job)
    states.advance(store, session, "rejected", code="golden", reason="outputs differ: export again")
    found = state(job)
    assert found["state"] == "failed"
    assert found["reason"] == "the package was rejected (golden): outputs differ: export again"


def test_a_job_that_is_over_says_where_its_reports_are(store: MemoryStore) -> None:
    job = started()
    store.put(keys.training_report(job, "cleaning.json"), b"{}")
    jobs.say(store, job, 1, "running")
    assert "reports" not in state(job)
    jobs.say(store, job, 1, "failed", "the class 'cat' has no training images left")
    reports = state(job)["reports"]
    assert list(reports) == ["cleaning.json"]
    assert reports["cleaning.json"].endswith(f"training/{job}/report/cleaning.json")
    other = started()
    jobs.say(store, other, 1, "failed", "no such data set")
    assert state(other)["reports"] == {}


def test_without_a_queue_the_answer_names_the_two_ways(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    from functions.training import app

    monkeypatch.setattr(app, "queue", lambda: None)
    answer = ask("POST", "/training-jobs", ASKED)
    assert answer.status == 501
    assert "amaas train --local" in answer.json["error"]
    assert "TrainingQueue=gpu" in answer.json["error"]
    assert jobs.ids(store) == []


def test_a_job_that_cannot_be_sent_is_noted_as_failed(store: MemoryStore, queue: Queue) -> None:
    queue.trouble = Unavailable("AWS Batch answered ClientException: try again")
    assert ask("POST", "/training-jobs", ASKED).status == 503
    [job] = jobs.ids(store)
    assert state(job)["state"] == "failed"
    assert "never reached the queue: AWS Batch answered ClientException" in state(job)["reason"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"model": "../x"}, "is not a model name"),
        ({"data": "/etc/passwd"}, "does not fit"),
        ({"data": "s3://other/datasets/x"}, "s3://amaas/datasets/ only"),
        ({"data": "s3://amaas/models/m"}, "beneath datasets/NAME"),
        ({"data": "s3://amaas/datasets/a/../../models"}, "beneath datasets/NAME"),
        ({"arguments": {"out": "/x"}}, "the job's own"),
        ({"arguments": {"checkpoint": "/x"}}, "the job's own"),
        ({"arguments": {"no-resume": True}}, "the job's own"),
        ({"arguments": {"Epochs": 3}}, "does not fit"),
        ({"arguments": {"size": [64, "--out=/x"]}}, "an option of its own"),
        ({"arguments": {"licence": "a\nb"}}, "no command line takes"),
        ({"arguments": {"x": {"a": 1}}}, "does not fit"),
        ({"arguments": {"teacher": "shoes@production"}}, "s3://amaas/datasets/NAME/ puts its package folder there"),
        ({"arguments": {"teacher": ["shoes"]}}, "out of a job's reach"),
        ({"arguments": {"teacher": "s3://other/datasets/x"}}, "s3://amaas/datasets/ only"),
        ({"arguments": {"teacher": "s3://amaas/blobs/sha256/x"}}, "beneath datasets/NAME"),
        ({"argumens": {}}, "does not fit"),
    ],
)
def test_what_is_refused_leaves_nothing(store: MemoryStore, queue: Queue, change: dict[str, Any], why: str) -> None:
    answer = ask("POST", "/training-jobs", ASKED | change)
    assert answer.status == 400
    assert why in answer.json["error"]
    assert (jobs.ids(store), queue.submitted) == ([], [])


def test_a_teacher_is_a_package_beside_the_data(queue: Queue, store: MemoryStore) -> None:
    for given in ("s3://amaas/datasets/teachers/shoes", False):
        assert ask("POST", "/training-jobs", ASKED | {"arguments": {"teacher": given}}).status == 202
    assert len(queue.submitted) == 2


def test_what_only_begins_like_the_jobs_own_is_the_trainings_to_judge(queue: Queue, store: MemoryStore) -> None:
    """It takes no option by its beginning."""
    assert ask("POST", "/training-jobs", ASKED | {"arguments": {"check": "/x", "d": 1}}).status == 202
    assert len(queue.submitted) == 1


def test_who_may(store: MemoryStore) -> None:
    job = started()
    assert ask("POST", "/training-jobs", ASKED, scopes="write promote infer").status == 403
    assert ask("POST", "/training-jobs", ASKED, scopes="train:boots").status == 403
    assert ask("GET", f"/training-jobs/{job}", scopes="infer").status == 403
    assert ask("GET", f"/training-jobs/{job}", scopes="read:boots").status == 403
    assert ask("GET", f"/training-jobs/{job}", scopes="train:shoes").status == 200
    assert ask("DELETE", f"/training-jobs/{job}", scopes="read write").status == 403
    assert ask("GET", "/training-jobs", scopes="read:boots").json["jobs"] == []
    assert ask("GET", "/training-jobs/nonsense").status == 400
    assert ask("GET", f"/training-jobs/{new_id()}").status == 404


def test_the_list_is_newest_first_a_page_at_a_time(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1_700_000_000, 1_700_000_100))
    monkeypatch.setattr(ids.time, "time", lambda: next(clock))
    made = [started() for _ in range(5)]
    store.put("training/strange/file", b"")
    first = ask("GET", "/training-jobs", query={"limit": "3"}).json
    rest = ask("GET", "/training-jobs", query={"limit": "3", "next": first["next"]}).json
    assert [job["id"] for job in first["jobs"] + rest["jobs"]] == made[::-1]
    assert rest["next"] is None
    assert ask("GET", "/training-jobs", query={"next": "nonsense"}).status == 400


def test_cancelling(store: MemoryStore, queue: Queue) -> None:
    job = started()
    assert ask("DELETE", f"/training-jobs/{job}").json["state"] == "cancelled"
    assert queue.stopped == [f"number-of-{job}"]
    tell(job, "FAILED", ended=1, statusReason="cancelled")
    assert state(job)["state"] == "cancelled"
    again = ask("DELETE", f"/training-jobs/{job}")
    assert (again.status, "is over (cancelled)" in again.json["error"]) == (409, True)


def test_a_cancellation_that_did_not_reach_the_queue_is_repeated(store: MemoryStore, queue: Queue) -> None:
    job = started()
    queue.trouble = Unavailable("AWS Batch is out of reach; try again")
    assert ask("DELETE", f"/training-jobs/{job}").status == 503
    queue.trouble = None
    assert ask("DELETE", f"/training-jobs/{job}").status == 200
    assert queue.stopped == [f"number-of-{job}"]


def test_aws_batch_is_asked_where_no_event_came(
    store: MemoryStore, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = started()
    queue.details[f"number-of-{job}"] = {"jobId": f"number-of-{job}", "status": "RUNNING", "attempts": []}
    assert state(job)["state"] == "submitted", "just now AWS Batch said so"
    monkeypatch.setattr(progress, "QUIET", -2.0)
    assert state(job)["state"] == "running"
    queue.trouble = Unavailable("AWS Batch is out of reach; try again")
    assert state(job)["state"] == "running", "what is known is told all the same"
    queue.trouble = None
    queue.details.clear()
    found = state(job)
    assert (found["state"], found["reason"]) == ("failed", "AWS Batch has forgotten this job")


def test_a_job_that_aws_batch_has_forgotten_is_over_after_any_attempt(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its word is later than the last one known, of the second attempt here: else whoever follows it waits on."""
    job = started()
    tell(job, "RUNNING", ended=1)
    monkeypatch.setattr(progress, "QUIET", -2.0)
    found = state(job)
    assert (found["state"], found["reason"]) == ("failed", "AWS Batch has forgotten this job")


def test_a_job_without_a_number_is_given_up(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    job = jobs.create(
        store, jobs.Job(id=new_id(), model="m", data="d", by="ann", created_at="2026-01-01T00:00:00.000Z")
    )
    assert state(job.id)["state"] == "failed"
    assert "never reached the queue" in state(job.id)["reason"]
