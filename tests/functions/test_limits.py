"""Limits where they hold: an upload that is announced, a batch job that starts, a training job; and who sees them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from functions.authorize import app as authorize
from functions.batch import app as batch
from functions.tokens import app as tokens
from functions.training import app as training
from functions.upload import app as upload
from shared.access import limits as limit_rules
from shared.access.limits import Limits
from shared.clock import now
from shared.config import Config
from shared.jobs.batch import job as jobs
from shared.jobs.training import job as training_jobs
from shared.registry.log import Log
from shared.storage.memory import MemoryStore
from tests.functions.test_access import authorizer_event
from tests.jobs_batch.test_runs import Machine
from tests.support import Answer, call

DEFAULTS = Limits(rate=200.0, burst=400, quota=5_000_000, batch_jobs=20, training_jobs=5, upload_bytes=10**11)


def limited(**own: int) -> dict[str, str]:
    return {"limits": limit_rules.encode(Limits(**own))}


def refused(answer: Answer, limit: str) -> None:
    assert answer.status == 429
    assert list(answer.json) == ["error", "code", "request_id"]
    assert answer.json["error"].startswith(f"limit {limit}: ")
    assert int(answer.headers["Retry-After"]) > 0


def announce(size: int, held: dict[str, str], **headers: str) -> Answer:
    body = {"files": [{"name": "model.onnx", "size": size}]}
    return call(upload.handler, "POST", "/models/m/uploads", body, authorizer=held, headers=headers)


def test_bytes_of_uploads(store: MemoryStore) -> None:
    held = limited(upload_bytes=100)
    assert announce(60, held).status == 201
    refused(announce(60, held), "upload_bytes")
    assert announce(40, held | {"principalId": "successor", "replaces": json.dumps(["middle", "tester"])}).status == 201
    refused(announce(1, held), "upload_bytes")
    assert announce(100, held | {"principalId": "another"}).status == 201
    assert announce(10**8, {}).status == 201


def test_a_bad_request_and_a_repetition_use_no_bytes(store: MemoryStore) -> None:
    held = limited(upload_bytes=100)
    assert announce(10**12, held).status == 413
    for _ in range(3):
        assert announce(60, held, **{"Idempotency-Key": "k1"}).status == 201
    assert announce(40, held, **{"Idempotency-Key": "k2"}).status == 201
    refused(announce(40, held, **{"Idempotency-Key": "k3"}), "upload_bytes")


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> tuple[MemoryStore, Machine]:
    store, machine = MemoryStore(), Machine()
    for name, value in {
        "store": store,
        "config": Config(bucket="amaas"),
        "machine": machine,
        "log": Log(store),
    }.items():
        monkeypatch.setattr(batch, name, lambda value=value: value)
    return store, machine


def a_job(store: MemoryStore, identity: str) -> str:
    """The id of a batch job of the caller's, with an input."""
    prefix = f"batch/{identity}/in/"
    store.put(f"{prefix}a.jsonl", b"{}")
    jobs.create(store, jobs.Job(id=identity, model="m", version=1, by="tester", created_at=now(), prefix=prefix))
    return identity


def start(job: str, held: dict[str, str]) -> Answer:
    return call(batch.handler, "POST", f"/batch/{job}/start", {}, authorizer=held)


def test_batch_jobs_that_run(batches: tuple[MemoryStore, Machine]) -> None:
    store, _ = batches
    held = limited(batch_jobs=1)
    first, second = (a_job(store, name) for name in ("job-1", "job-2"))
    assert start(first, held).status == 202
    assert start(first, held).status == 202  # it runs already
    refused(start(second, held), "batch_jobs")
    assert jobs.last_run(store, second) is None
    jobs.end_run(store, first, 1, missing=1)
    assert start(second, held).status == 202
    refused(start(first, held), "batch_jobs")  # what is left of it is a run, too


def test_a_batch_job_that_died_gives_its_slot_back(
    batches: tuple[MemoryStore, Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, machine = batches
    held = limited(batch_jobs=1)
    first, second = (a_job(store, name) for name in ("job-1", "job-2"))
    start(first, held)
    machine.running = False
    refused(start(second, held), "batch_jobs")  # for some seconds, a run is taken for alive
    monkeypatch.setattr("shared.jobs.batch.runs.QUIET", -1.0)
    assert start(second, held).status == 200
    assert jobs.read_run_end(store, first, 1).died


def test_bytes_of_batch_inputs(batches: tuple[MemoryStore, Machine]) -> None:
    store, _ = batches
    held = limited(upload_bytes=100)
    job = a_job(store, "job-1")

    def add(size: int) -> Answer:
        body = {"files": [{"name": f"{size}.jsonl", "size": size}]}
        return call(batch.handler, "POST", f"/batch/{job}/files", body, authorizer=held)

    assert add(70).status == 201
    refused(add(31), "upload_bytes")
    assert add(30).status == 201


def test_training_jobs_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    class Queue:
        def submit(self, job: str, deployment: str) -> str:
            return f"aws-{job}"

        def find(self, aws_id: str) -> dict[str, Any] | None:
            return {"jobId": aws_id, "status": "RUNNING"}

        def stop(self, aws_id: str, reason: str) -> None: ...

    store, queue = MemoryStore(), Queue()
    for name, value in {"store": store, "config": Config(bucket="amaas"), "queue": queue}.items():
        monkeypatch.setattr(training, name, lambda value=value: value)
    held = limited(training_jobs=1)

    def create() -> Answer:
        body = {"model": "m", "data": "fashion-mnist"}
        return call(training.handler, "POST", "/training-jobs", body, authorizer=held)

    first = create()
    assert first.status == 202, first.json
    refused(create(), "training_jobs")
    assert len(training_jobs.list_ids(store)) == 1
    training_jobs.write_report(store, first.json["id"], 1, "failed", "it had to end")
    assert create().status == 202
    refused(call(training.handler, "POST", "/training-jobs", {"model": "m", "data": "fashion-mnist"},
                 authorizer=limited(training_jobs=0)), "training_jobs")  # fmt: skip


# ---- who says them, and who sees them


@pytest.fixture
def deployed(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Creates tokens, in a deployment with usage plans and limits of its own."""

    class Plans:
        def assign(self, *arguments: Any) -> None: ...

        def release(self, key: str) -> None: ...

    settings = Config(
        bucket="amaas", quota_key="shared-quota-key", deployment="amaas", limits=limit_rules.encode(DEFAULTS)
    )
    for app in (authorize, tokens):
        monkeypatch.setattr(app, "config", lambda: settings)
    monkeypatch.setattr(tokens, "plans", lambda settings: Plans())

    def create(**body: Any) -> dict[str, Any]:
        answer = call(tokens.handler, "POST", "/tokens", {"name": "guest", "scopes": ["infer"]} | body)
        assert answer.status == 201, answer.json
        return answer.json

    return create


def authorized(token: str) -> dict[str, Any]:
    return authorize.handler(authorizer_event(f"Bearer {token}"), None)


def test_a_token_s_limits_are_shown_to_administrators_and_to_itself(deployed: Callable[..., dict[str, Any]]) -> None:
    created = deployed(limits={"quota": 10, "batch_jobs": 0})
    expected = {**json.loads(limit_rules.encode(DEFAULTS)), "quota": 10, "batch_jobs": 0}
    expected |= {"texts": None, "text_tokens": None}  # the deployment has none
    assert created["limits"] == expected
    answer = authorized(created["token"])
    assert answer["usageIdentifierKey"] == f"amaas-token-{created['id']}"
    own = call(tokens.handler, "GET", "/tokens/self", authorizer={**answer["context"], "principalId": created["id"]})
    assert (own.status, own.json["limits"], own.json["scopes"]) == (200, expected, ["infer"])
    [listed] = call(tokens.handler, "GET", "/tokens").json["tokens"]
    assert listed["limits"] == expected
    rotated = call(tokens.handler, "POST", f"/tokens/{created['id']}/rotate").json
    assert rotated["limits"] == expected
    assert authorized(rotated["token"])["usageIdentifierKey"] == f"amaas-token-{created['id']}"


def test_a_token_without_a_key_shares_one(deployed: Callable[..., dict[str, Any]], store: MemoryStore) -> None:
    from shared.access.tokens import create

    _, secret = create(store, "old", ["infer"])
    assert authorized(secret)["usageIdentifierKey"] == "shared-quota-key"


@pytest.mark.parametrize(
    "own",
    [{"rate": 0}, {"rate": -1}, {"burst": 0.5}, {"quota": 0}, {"batch_jobs": -1}, {"calls": 5}, {"quota": "1"}, []],
)
def test_limits_that_do_not_fit_make_no_token(deployed: Callable[..., dict[str, Any]], own: Any) -> None:
    body = {"name": "guest", "scopes": ["infer"], "limits": own}
    assert call(tokens.handler, "POST", "/tokens", body).status == 400
    assert call(tokens.handler, "GET", "/tokens").json == {"tokens": [], "next": None}


def test_an_operator_gives_limits_too(deployed: Callable[..., dict[str, Any]]) -> None:
    tokens.handler({"operator": {"create": {"name": "ci", "scopes": ["infer"], "limits": {"rate": 5}}}}, None)
    [listed] = call(tokens.handler, "GET", "/tokens").json["tokens"]
    assert (listed["limits"]["rate"], listed["limits"]["burst"]) == (5.0, 400)


def test_pages_of_tokens(deployed: Callable[..., dict[str, Any]]) -> None:
    ids = sorted(deployed()["id"] for _ in range(5))
    first = call(tokens.handler, "GET", "/tokens", query={"limit": "3"}).json
    second = call(tokens.handler, "GET", "/tokens", query={"limit": "3", "next": first["next"]}).json
    assert [one["id"] for one in first["tokens"] + second["tokens"]] == ids
    assert (first["next"], second["next"]) == (ids[2], None)
