"""Every operation that takes an Idempotency-Key: how it is called, and what has to be there for it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from functions.batch import app as batch
from functions.feedback import app as feedback
from functions.registry import app as registry
from functions.tokens import app as tokens
from functions.training import app as training
from functions.upload import app as upload
from shared import batch_keys, keys
from shared.config import Config
from shared.errors import AmaasError
from shared.jobs.batch.runs import Execution
from shared.jobs.training import job as jobs
from shared.registry import aliases, models, versions
from shared.registry.log import Log
from shared.registry.state import Change, Policy, Target
from shared.storage.base import ObjectInfo
from shared.storage.memory import MemoryStore
from shared.uploads import forms, states
from tests.failing import FailingStore, Plan, never
from tests.jobs_training.conftest import REQUEST, Queue
from tests.registry.conftest import push
from tests.support import Answer, call

PRODUCTION, STAGING = "/models/m/aliases/production", "/models/m/aliases/staging"
OTHER = Change(by="somebody else")
KEY = {"Idempotency-Key": "key-1"}
REPLAYED = "Idempotent-Replayed"


class World:
    """The functions with keyed routes on one store. plan: of the store's faults."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.plan: Plan = never
        self.store = FailingStore(MemoryStore(), lambda call: self.plan(call))
        self.log, self.queue = Log(self.store), Queue()
        push(self.log, "m", 4)
        aliases.move(self.log, "m", "production", Target(version=2), OTHER)
        aliases.move(self.log, "m", "staging", Target(version=1), OTHER)
        aliases.move(self.log, "m", "staging", Target(version=2), OTHER)
        monkeypatch.setattr(registry, "log", lambda: self.log)
        monkeypatch.setattr(batch, "log", lambda: self.log)
        monkeypatch.setattr(feedback, "log", lambda: self.log)
        for app in (batch, feedback, tokens, training, upload):
            monkeypatch.setattr(app, "store", lambda: self.store)
            monkeypatch.setattr(app, "config", lambda: Config(bucket="amaas"))
        monkeypatch.setattr(batch, "machine", lambda: Machine())
        monkeypatch.setattr(training, "queue", lambda: self.queue)


class Machine:
    def start(self, job: str, run: int) -> None: ...

    def look(self, job: str, run: int) -> Execution:
        return Execution(running=True, status="running")

    def stop(self, job: str, run: int) -> None: ...


Prepare = Callable[[World], dict[str, str]]


def nothing(world: World) -> dict[str, str]:
    return {}


def two_persons(world: World) -> dict[str, str]:
    aliases.set_policy(world.log, "m", "production", Policy(protected=True, two_person=True), OTHER)
    return {}


def a_request(world: World) -> dict[str, str]:
    number = call(registry.handler, "POST", STAGING + "/requests", {"version": 3}).json["request"]
    return {"number": str(number)}


def a_request_of_another(world: World) -> dict[str, str]:
    from shared.registry import approvals

    return {"number": str(approvals.request(world.log, "m", "staging", Target(version=3), OTHER))}


def retired(world: World) -> dict[str, str]:
    versions.retire(world.log, "m", 3, OTHER)
    return {}


def deleted(world: World) -> dict[str, str]:
    models.delete(world.log, "m", OTHER)
    return {}


def files(name: str, size: int) -> dict[str, Any]:
    return {"files": [{"name": name, "size": size}]}


def a_job(world: World) -> dict[str, str]:
    job = call(batch.handler, "POST", "/models/m/batch", files("a.json", 2)).json["id"]
    world.store.put(batch_keys.batch_input(job, "a.json"), b"{}")
    return {"job": job}


def a_running_job(world: World) -> dict[str, str]:
    made = a_job(world)
    assert call(batch.handler, "POST", f"/batch/{made['job']}/start", {}).status == 202
    return made


def a_training_job(world: World) -> dict[str, str]:
    return {"job_id": call(training.handler, "POST", "/training-jobs", REQUEST).json["id"]}


def a_failed_upload(world: World) -> dict[str, str]:
    """Its file has arrived, twice: the first of the two is a version of the object that is to be deleted, too."""
    session = states.open_session(world.store, "m", [forms.File("model.onnx", 2)], "tester")
    for body in (b"{}", b"[]"):
        world.store.put(session.keys["model.onnx"], body)
    states.advance(world.store, session, "failed", code="interrupted", reason="the disk was full")
    return {"upload_id": session.upload_id}


def an_ended_training_job(world: World) -> dict[str, str]:
    prepared = a_training_job(world)
    jobs.write_report(world.store, prepared["job_id"], 1, "failed", "no data")
    world.store.put(keys.training_checkpoint(prepared["job_id"], "1"), b"weights")
    return prepared


# by operation id: the function, what has to be there, method, path, body, and another body that is valid, too
CALLS: dict[str, tuple[Any, Prepare, str, str, dict[str, Any], dict[str, Any]]] = {
    "setAlias": (registry, nothing, "PUT", PRODUCTION, {"version": 3}, {"version": 4}),
    "rollbackAlias": (registry, nothing, "POST", STAGING + "/rollback", {}, {"reason": "slow"}),
    "deleteAlias": (registry, nothing, "DELETE", STAGING, {}, {"reason": "old"}),
    "setAliasPolicy": (registry, nothing, "PUT", STAGING + "/policy", {"two_person": True}, {}),
    "createPolicyRequest": (
        registry,
        two_persons,
        "POST",
        PRODUCTION + "/policy/requests",
        {"protected": True},
        {"protected": True, "reason": "one is enough"},
    ),
    "createMoveRequest": (registry, nothing, "POST", STAGING + "/requests", {"version": 3}, {"version": 4}),
    "approveMoveRequest": (
        registry, a_request_of_another, "POST", "/models/m/requests/{number}/approve", {}, {"reason": "fine"},
    ),
    "rejectMoveRequest": (registry, a_request, "POST", "/models/m/requests/{number}/reject", {}, {"reason": "no"}),
    "retireVersion": (registry, nothing, "POST", "/models/m/versions/4/retire", {}, {"reason": "old"}),
    "restoreVersion": (registry, retired, "POST", "/models/m/versions/3/restore", {}, {"reason": "again"}),
    "updateModel": (registry, nothing, "PATCH", "/models/m", {"tags": ["b", "a"], "card": "# M"}, {"tags": ["c"]}),
    "deleteModel": (registry, nothing, "DELETE", "/models/m", {}, {"reason": "old"}),
    "restoreModel": (registry, deleted, "POST", "/models/m/restore", {}, {"reason": "again"}),
    "createUploadSession": (
        upload, nothing, "POST", "/models/m/uploads", files("model.onnx", 8), files("model.onnx", 9),
    ),
    "createBatchJob": (
        batch, nothing, "POST", "/models/m/batch", files("a.json", 2), files("b.json", 2),
    ),
    "startBatchJob": (batch, a_job, "POST", "/batch/{job}/start", {}, {"files": 1}),
    "cancelBatchJob": (batch, a_running_job, "DELETE", "/batch/{job}", {}, {"reason": "a body that nobody reads"}),
    "createTrainingJob": (training, nothing, "POST", "/training-jobs", REQUEST, REQUEST | {"model": "boots"}),
    "cancelTrainingJob": (training, a_training_job, "DELETE", "/training-jobs/{job_id}", {}, {"reason": "late"}),
    "redriveUploads": (
        upload, a_failed_upload, "POST", "/uploads/redrive", {"uploads": ["{upload_id}"]},
        {"uploads": ["019c4f2a3b0-1f0e9d8c7b6a5948"]},
    ),
    "giveLabels": (
        feedback, nothing, "POST", "/models/m/feedback", {"labels": [{"answer_id": "an id", "label": "1"}]},
        {"labels": [{"answer_id": "an id", "label": "2"}]},
    ),
    "deleteUpload": (upload, a_failed_upload, "DELETE", "/uploads/{upload_id}", {}, {"reason": "private"}),
    "deleteBatchJobData": (batch, a_job, "DELETE", "/batch/{job}/data", {}, {"reason": "private"}),
    "deleteTrainingJobData": (
        training, an_ended_training_job, "DELETE", "/training-jobs/{job_id}/data", {}, {"reason": "private"},
    ),
}  # fmt: skip
TRANSITIONS = [name for name, described in CALLS.items() if described[0] is registry]
DELETIONS = ["deleteUpload", "deleteBatchJobData", "deleteTrainingJobData"]
# makes nothing that could be there twice: labels that come again are the same labels (tests/feedback/test_labels.py)
JOINED = ["giveLabels"]
JOBS = [name for name in CALLS if name not in (*TRANSITIONS, *DELETIONS, *JOINED)]


class Caller:
    """Sends one operation's call again and again."""

    def __init__(self, world: World, operation: str) -> None:
        app, prepare, self.method, path, self.body, self.other_body = CALLS[operation]
        prepared = prepare(world)
        self.handler, self.path = app.handler, path.format(**prepared)
        if "uploads" in self.body:
            self.body = {"uploads": [identity.format(**prepared) for identity in self.body["uploads"]]}

    def send(self, headers: dict[str, str] | None = KEY, body: dict[str, Any] | None = None) -> Answer:
        return call(self.handler, self.method, self.path, self.body if body is None else body, headers=headers)


def disturb(world: World) -> None:
    """What others do between a call and its repetition; each where it can be done."""
    log = world.log
    changes: list[Callable[[], Any]] = [
        lambda: models.restore(log, "m", OTHER),
        lambda: aliases.move(log, "m", "production", Target(version=1), OTHER),
        lambda: aliases.delete(log, "m", "staging", OTHER),
        lambda: versions.retire(log, "m", 4, OTHER),
        lambda: models.edit(log, "m", OTHER, tags=["theirs"]),
        lambda: push(log, "m"),
        lambda: models.delete(log, "m", OTHER),
    ]
    for change in changes:
        with suppress(AmaasError):
            change()


def objects(world: World, prefix: str) -> list[ObjectInfo]:
    return world.store.list_page(prefix).objects
