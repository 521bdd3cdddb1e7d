"""All functions of the product on one store in memory, with two tenants whose data must not meet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import functions.authorize.app as authorize
import functions.batch.app as batch
import functions.inference.app as inference
import functions.ingest.app as ingest
import functions.registry.app as registry
import functions.tokens.app as tokens
import functions.training.app as training
import functions.upload.app as upload
from bench.trust.proof import replaced
from shared import batch_keys, metrics
from shared.access.usage import Usage
from shared.config import Config
from shared.jobs.batch.runs import Execution
from shared.registry import catalog
from shared.registry.log import Log
from shared.serving.models import Models
from shared.storage.memory import MemoryStore
from tests.functions.test_flow import push
from tests.support import call, linear

SECRET = "s3cr3t-of-the-other-tenant"
OURS, THEIRS = "a-model", "b-model"
TENANT = "infer:a-* write:a-* promote:a-* train:a-* data:a-*"


class Idle:
    """A state machine that begins every run, and gets nowhere."""

    def start(self, job: str, run: int) -> None: ...

    def look(self, job: str, run: int) -> Execution:
        return Execution(True, "running")

    def stop(self, job: str, run: int) -> None: ...


@contextmanager
def wired(store: MemoryStore) -> Iterator[Models]:
    """The functions' own handlers, with this store."""
    config = Config(bucket="amaas", quota_key="standard-quota-key")
    log = Log(store, on_commit=catalog.compact_sometimes)
    models = Models(log, ttl=0, capacity=10**9)
    changes: list[tuple[Any, str, Any]] = [(inference, "models", lambda: models), (authorize, "usage", Usage())]
    for app in (authorize, batch, ingest, tokens, training, upload):
        changes.append((app, "config", lambda: config))
    changes += [(app, "log", lambda: log) for app in (batch, ingest, registry)]
    changes += [(app, "store", lambda: store) for app in (authorize, batch, tokens, training, upload)]
    changes += [(training, "queue", lambda: None), (batch, "machine", Idle)]
    changes += [(metrics, name, lambda *_, **__: None) for name in ("event", "emit")]
    with replaced(*changes):
        yield models


def tenants() -> tuple[MemoryStore, dict[str, str]]:
    """Two tenants, each with a model of two versions and a batch job. Returns the store and ids by name."""
    store, ids = MemoryStore(), dict[str, str]()
    with wired(store):
        for model, words in ((OURS, "ours"), (THEIRS, SECRET)):
            described = {"card": f"# {words}", "tags": [words], "labels": [words, "b"], "task": "tensor"}
            for weight in (1.0, 2.0):
                files = {"model.onnx": linear([[weight], [0.0]]), "amaas.json": json.dumps(described).encode()}
                ended = push(store, model, files)
                assert ended["state"] == "registered", ended
                ids[f"upload of {model}"] = ended["upload_id"]
            ids[f"job of {model}"] = _job(store, model, words)
    return store, ids


def _job(store: MemoryStore, model: str, words: str) -> str:
    """A batch job of the model's own tenant, with an input and an answer."""
    tenant = model.partition("-")[0]
    files = {"files": [{"name": f"{words}.jsonl", "size": 10}]}
    answer = call(
        batch.handler, "POST", f"/models/{model}/batch", files, scopes=f"infer:{tenant}-*", authorizer=principal(tenant)
    )
    assert answer.status == 201, answer.body
    job = str(answer.json["id"])
    store.put(batch_keys.batch_input(job, f"{words}.jsonl"), json.dumps({"x": words}).encode())
    store.put(batch_keys.batch_output(job, 0), json.dumps({"index": 0, "prediction": words}).encode() + b"\n")
    store.put(batch_keys.batch_done(job, 0, 1, 0), b"")
    return job


def principal(tenant: str) -> dict[str, str]:
    return {"principalId": f"tenant-{tenant}"}
