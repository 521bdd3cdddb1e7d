"""The package of a training job comes as an upload that the container opens: of its job's model, and its own files."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from functions.ingest import app as ingest
from functions.upload import app as upload
from shared import keys
from shared.clock import new_id
from shared.jobs.training import job as jobs
from shared.jobs.training import progress
from shared.jobs.training.job import Job
from shared.storage.memory import MemoryStore
from shared.uploads import states
from tests.support import call, linear, s3_event


@pytest.fixture
def job(store: MemoryStore) -> Job:
    return jobs.create(
        store, Job(id=new_id(), model="m", data="digits", by="ann", created_at="2026-01-01T00:00:00.000Z")
    )


def sent(store: MemoryStore, identity: str, model: str = "m", by: str = "ann", **ticket: Any) -> dict[str, Any]:
    """As a container sends it. ticket: members of the session that it exchanges."""
    session = states.open_session(store, model, [states.File("model.onnx")], by, identity)
    if ticket:
        body = msgspec.json.encode(msgspec.to_builtins(session) | {"format": 1} | ticket)
        store.put(keys.upload_session(identity), body)
    key = keys.upload_file(identity, "model.onnx")
    store.put(key, linear([[1.0], [2.0]]))
    ingest.handler(s3_event(key), None)
    return dict(call(upload.handler, "GET", f"/uploads/{identity}").json)


def test_the_jobs_own_package_becomes_a_version(store: MemoryStore, job: Job) -> None:
    assert sent(store, jobs.upload_id(job.id))["state"] == "registered"
    assert progress.status(store, job)["state"] == "succeeded"


def test_a_package_of_release_0_1_is_found_under_the_jobs_id(store: MemoryStore, job: Job) -> None:
    sent(store, job.id)
    assert progress.status(store, job)["version"] == 1


@pytest.mark.parametrize(
    "choice",
    [
        {"model": "another"},
        {"by": "bob"},
        {"keys": {"model.onnx": "uploads/01234567890-aaaaaaaaaaaaaaaa/files/model.onnx"}},
    ],
    ids=["model", "creator", "files"],
)
def test_a_container_chooses_neither_model_nor_creator_nor_files(
    store: MemoryStore, job: Job, choice: dict[str, Any]
) -> None:
    store.put("uploads/01234567890-aaaaaaaaaaaaaaaa/files/model.onnx", linear([[1.0], [0.0]]))
    who = {name: value for name, value in choice.items() if name != "keys"}
    ended = sent(store, jobs.upload_id(job.id), **who, **{n: v for n, v in choice.items() if n == "keys"})
    assert (ended["state"], ended["code"]) == ("rejected", "not_of_its_job")


def test_an_upload_of_no_job_is_rejected(store: MemoryStore) -> None:
    assert sent(store, jobs.upload_id(new_id()))["code"] == "not_of_its_job"
