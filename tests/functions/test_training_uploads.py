"""The package of a training job comes as an upload that the container opens: of its job's model, and its own files."""

from __future__ import annotations

import time
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
from shared.registry import blobs
from shared.registry.log import Log
from shared.storage.memory import MemoryStore
from shared.uploads import forms, inbox, inbox_packages, listing, states
from tests.support import call, linear, s3_event


@pytest.fixture
def job(store: MemoryStore) -> Job:
    return jobs.create(
        store, Job(id=new_id(), model="m", data="digits", by="ann", created_at="2026-01-01T00:00:00.000Z")
    )


def sent(store: MemoryStore, identity: str, model: str = "m", by: str = "ann", **ticket: Any) -> dict[str, Any]:
    """As a container sends it. ticket: members of the session that it exchanges."""
    session = states.open_session(store, model, [forms.File("model.onnx")], by, identity)
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


def forge(store: MemoryStore, identity: str, inner: str | None = None, **ticket: Any) -> str:
    """What the container's role may write: a session, its state and its marker, under any id with the prefix."""
    name = inner or identity
    body = {
        "format": 1, "upload_id": name, "model": "theirs", "by": "victim", "created_at": "2026-11-28T00:00:00.000Z",
        "files": [{"name": "model.onnx"}], "keys": {"model.onnx": f"uploads/{identity}/files/model.onnx"}, **ticket,
    }  # fmt: skip
    state = {n: v for n, v in body.items() if n != "keys"} | {"state": "waiting", "updated_at": body["created_at"]}
    store.put(f"uploads/{identity}/ticket.json", msgspec.json.encode(body))
    store.put(f"models/{body['model']}/uploads/{identity}.json", msgspec.json.encode(state))
    store.put(f"unfinished/{body['model']}/{identity}", b"")
    key = f"uploads/{identity}/files/model.onnx"
    store.put(key, linear([[1.0], [2.0]]))
    return key


@pytest.mark.parametrize("identity", ["training-evil0001", "training-training-0190a0b0c01-0000000000000001"])
@pytest.mark.parametrize("place", ["own", "blob"])
def test_whatever_follows_the_prefix_is_a_jobs_id_or_refused(store: MemoryStore, identity: str, place: str) -> None:
    blob = blobs.write(store, linear([[3.0], [4.0]]))
    ticket = {"keys": {"model.onnx": keys.blob(blob)}} if place == "blob" else {}
    ingest.handler(s3_event(forge(store, identity, **ticket)), None)
    ended = call(upload.handler, "GET", f"/uploads/{identity}").json
    assert (ended["state"], ended["code"]) == ("rejected", "not_of_its_job")
    assert not Log(store).read("theirs").revision


@pytest.mark.parametrize("own_id", [True, False], ids=["of a job", "of a client"])
def test_an_upload_names_its_own_files_whoever_wrote_its_session(store: MemoryStore, job: Job, own_id: bool) -> None:
    place = f"uploads/{new_id()}/files/model.onnx"
    store.put(place, linear([[1.0], [0.0]]))
    identity = jobs.upload_id(job.id) if own_id else new_id()
    ended = sent(store, identity, keys={"model.onnx": place})
    assert (ended["state"], ended["code"]) == ("rejected", "not_of_its_job")


def test_a_session_that_names_another_upload_is_none(store: MemoryStore, job: Job) -> None:
    theirs = states.open_session(store, "theirs", [forms.File("model.onnx")], "victim").upload_id
    identity = jobs.upload_id(job.id)
    ingest.handler(s3_event(forge(store, identity, theirs)), None)
    assert call(upload.handler, "GET", f"/uploads/{identity}").status == 404
    assert call(upload.handler, "DELETE", f"/uploads/{identity}").status == 404
    assert states.read(store, theirs).state == "waiting" and not Log(store).read("theirs").revision


def test_a_state_that_names_another_upload_deletes_nothing_of_it(store: MemoryStore, job: Job) -> None:
    """Whoever may write models that begin with `mine` deletes no upload of another's."""
    theirs = states.open_session(store, "theirs", [forms.File("model.onnx")], "victim")
    store.put(theirs.keys["model.onnx"], b"theirs")
    identity = jobs.upload_id(job.id)
    forge(store, identity, model="mine")
    state = {
        "format": 1, "upload_id": theirs.upload_id, "model": "mine", "state": "waiting", "by": "x",
        "created_at": "", "updated_at": "",
    }  # fmt: skip
    store.put(keys.upload_state("mine", identity), msgspec.json.encode(state))
    assert call(upload.handler, "DELETE", f"/uploads/{identity}", scopes="write:mine").status == 503
    assert store.get(theirs.keys["model.onnx"]).body == b"theirs"
    assert states.read(store, theirs.upload_id).state == "waiting"


@pytest.mark.parametrize("identity", ["training-evil0001", "job"])
def test_deleting_a_containers_upload_leaves_the_inbox_alone(store: MemoryStore, job: Job, identity: str) -> None:
    store.put("inbox/theirs/x.onnx", b"theirs")
    identity = jobs.upload_id(job.id) if identity == "job" else identity
    forge(store, identity, keys={"model.onnx": "inbox/theirs/x.onnx"})
    deleted = call(upload.handler, "DELETE", f"/uploads/{identity}").json
    assert (deleted["state"], deleted["deletion"]["objects"]) == ("expired", 1)
    assert store.get("inbox/theirs/x.onnx").body == b"theirs"


def test_a_container_takes_no_object_of_the_inbox(store: MemoryStore) -> None:
    """With an id that ends as that of the object's session would."""
    store.put("inbox/theirs/x.onnx", linear([[1.0], [2.0]]))
    mark = inbox_packages.mark([store.head("inbox/theirs/x.onnx")])
    forge(store, f"training-0190a0b0c01-{mark}", keys={"model.onnx": "inbox/theirs/x.onnx"})
    forge(store, f"training-{mark}", keys={"model.onnx": "inbox/theirs/x.onnx"})
    assert [one.model for one in inbox.without_session(store, -1.0, time.time())] == ["theirs"]
    ingest.handler(s3_event("inbox/theirs/x.onnx"), None)
    own = [one.state for one in listing.of_model(store, "theirs")[0] if keys.is_id(one.upload_id)]
    assert own == ["registered"]
