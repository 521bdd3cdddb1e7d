"""A route without a model in its path says which models it concerns; and a scope with a pattern reaches no others."""

from __future__ import annotations

from typing import Any

import pytest

import functions.batch.app as batch
import functions.training.app as training
import functions.upload.app as upload
from api import routes as api
from shared.access.scopes import SCOPES
from shared.clock import new_id, now
from shared.config import Config
from shared.entry.http import Route, Routes
from shared.jobs.batch import job as batch_jobs
from shared.jobs.training import job as training_jobs
from shared.registry.log import Log
from shared.storage.memory import MemoryStore
from shared.uploads import forms, states
from tests.functions.test_redrive import Letters
from tests.support import FORM, call, form, linear, s3_event

MINE = " ".join(f"{scope}:mine*" for scope in SCOPES)
EVERYTHING = " ".join(SCOPES)
RANKED = {"model": "theirs", "query": "x", "documents": ["y"]}
ROUTES = [(function, route) for function, route in api.routes() if route.models is not None]


class Machine:
    """The state machine of batch jobs, which is never reached by who may not."""

    def start(self, job: str, run: int) -> None: ...

    def stop(self, job: str, run: int) -> None: ...

    def look(self, job: str, run: int) -> None: ...


@pytest.fixture
def theirs(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A model, uploads and jobs of others: the path parameters that name them."""
    log, config = Log(store), Config(bucket="amaas")
    for app in (batch, training):
        monkeypatch.setattr(app, "store", lambda: store)
        monkeypatch.setattr(app, "config", lambda: config)
    monkeypatch.setattr(batch, "log", lambda: log)
    monkeypatch.setattr(batch, "machine", Machine)
    monkeypatch.setattr(training, "queue", lambda: None)
    letters = Letters()
    monkeypatch.setattr(upload, "failures", lambda: letters)
    from functions.ingest import app as ingest

    session = states.open_session(store, "theirs", [forms.File("model.onnx")], "bob")
    store.put(session.keys["model.onnx"], linear([[1.0], [0.0]]))
    ingest.handler(s3_event(session.keys["model.onnx"]), None)
    failed = states.open_session(store, "theirs", [forms.File("model.onnx")], "bob")
    states.advance(store, failed, "failed", code="killed", reason="by a test")
    letters.add(s3_event(failed.keys["model.onnx"]))
    job, trained = new_id(), new_id()
    batch_jobs.create(
        store, batch_jobs.Job(id=job, model="theirs", version=1, by="bob", created_at=now(), prefix=f"batch/{job}/in/")
    )
    training_jobs.create(
        store, training_jobs.Job(id=trained, model="theirs", data="digits", by="bob", created_at=now())
    )
    return {"upload_id": failed.upload_id, "job": job, "job_id": trained, "token_id": "0123456789ab"}


def body(route: Route, names: dict[str, str]) -> dict[str, Any]:
    bodies: dict[str, dict[str, Any]] = {
        "createEmbeddings": {"model": "theirs", "input": "x"},
        "rerank": RANKED,
        "rerankV2": RANKED,
        "createChatCompletion": {"model": "theirs", "messages": [{"role": "user", "content": "x"}]},
        "createCompletion": {"model": "theirs", "prompt": "x"},
        "createTrainingJob": {"model": "theirs", "data": "digits"},
        "addBatchJobFiles": {"files": [{"name": "a", "size": 1}]},
        "createToken": {"name": "x", "scopes": ["read"]},
        "redriveUploads": {"uploads": [names["upload_id"]]},
    }
    return bodies.get(route.id, {})


def answer(function: str, route: Route, names: dict[str, str], scopes: str) -> Any:
    if route.template.startswith("/v1/audio/"):
        sent: Any = form(b"no sound", model="theirs")
        return call(api.handler(function), route.method, route.template, sent, scopes=scopes, headers=FORM)
    sent = body(route, names) if route.method != "GET" else b""
    return call(api.handler(function), route.method, route.template.format(**names), sent, scopes=scopes)


@pytest.mark.parametrize(("function", "route"), ROUTES, ids=[route.id for _, route in ROUTES])
def test_a_pattern_reaches_no_model_of_others(
    store: MemoryStore, theirs: dict[str, str], function: str, route: Route
) -> None:
    before = dict(store._objects)
    got = answer(function, route, theirs, MINE)
    if route.models == "all":
        assert got.status == 403
    elif route.models == "each":
        assert got.status == 403 or (got.status == 200 and b"theirs" not in got.body)
        assert store._objects == before
    if route.models != "none":  # else what is above would say nothing: it is there for who has the scope for all
        allowed = answer(function, route, theirs, EVERYTHING)
        assert allowed.status != 403 and (got.status == 403 or b"theirs" in allowed.body)


def test_the_queue_of_failed_uploads_is_of_all_models(theirs: dict[str, str], store: MemoryStore) -> None:
    queue = upload.failures()
    assert call(upload.handler, "POST", "/uploads/redrive", {}, scopes="admin:mine").status == 403
    assert states.read(store, theirs["upload_id"]).state == "failed" and len(queue.waiting) == 1  # type: ignore[attr-defined]
    redriven = call(upload.handler, "POST", "/uploads/redrive", {}, scopes="admin")
    assert [one["outcome"] for one in redriven.json["uploads"]] == ["reopened"]


def test_nothing_is_redriven_of_a_call_that_one_upload_refuses(theirs: dict[str, str], store: MemoryStore) -> None:
    own = states.open_session(store, "mine", [forms.File("model.onnx")], "ann")
    states.advance(store, own, "failed", code="killed", reason="by a test")
    both = {"uploads": [own.upload_id, theirs["upload_id"]]}
    assert call(upload.handler, "POST", "/uploads/redrive", both, scopes="admin:mine").status == 403
    assert states.read(store, own.upload_id).state == "failed"
    alone = call(upload.handler, "POST", "/uploads/redrive", {"uploads": [own.upload_id]}, scopes="admin:mine")
    assert [one["outcome"] for one in alone.json["uploads"]] == ["reopened"]


@pytest.mark.parametrize(
    ("path", "models"), [("/things", None), ("/models/{model}/things", "each"), ("/models/{model}/things", "all")]
)
def test_a_route_says_it_once(path: str, models: Any) -> None:
    with pytest.raises(TypeError, match="declare"):
        Routes("x").route("GET", path, id="x", scope="read", models=models)(lambda request: {})
