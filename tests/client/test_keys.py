"""Each call that changes something has an Idempotency-Key of its own, and all attempts at it have the same one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from amaas import ApiError, Client

import functions.training.app
from shared import keys
from shared.jobs.batch import job as jobs
from shared.jobs.batch.runs import Execution
from shared.registry.log import Log
from tests.client.gateway import Service, Trouble
from tests.jobs_batch import world
from tests.jobs_training.conftest import Queue
from tests.registry.conftest import push


@pytest.fixture(autouse=True)
def a_service(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    class Machine:
        def start(self, job: str, run: int) -> None: ...

        def look(self, job: str, run: int) -> Execution:
            return Execution(running=True, status="running")

        def stop(self, job: str, run: int) -> None: ...

    queue = Queue()
    queue.submit = lambda job, deployment: f"id-of-{job}"  # type: ignore[method-assign]
    monkeypatch.setattr(functions.batch.app, "machine", lambda: Machine())
    monkeypatch.setattr(functions.training.app, "queue", lambda: queue)
    push(service.log, "m", 3, inputs=world.MANIFEST.inputs)


def a_file(folder: Path) -> Path:
    (folder / "rows.jsonl").write_text("1\n")
    return folder / "rows.jsonl"


CALLS: dict[str, tuple[str, str, Callable[[Client, Path], Any]]] = {
    "move": ("PUT", "/aliases/canary$", lambda client, _: client.promote("m", 2, alias="canary")),
    "upload": ("POST", "/uploads$", lambda client, folder: client.push(package(folder), "new")),
    "batch": ("POST", "/models/m/batch$", lambda client, folder: client.create_batch_job("m", a_file(folder))),
    "start": ("POST", "/batch/[^/]+/start$", lambda client, folder: client.create_batch_job("m", a_file(folder))),
    "training": ("POST", "/training-jobs$", lambda client, _: client.create_training_job("m", "fashion-mnist")),
}


def package(folder: Path) -> Path:
    (folder / "net.onnx").write_bytes(b"graph")
    return folder / "net.onnx"


def sent(service: Service, name: str) -> list[str | None]:
    method, path, _ = CALLS[name]
    return [call.headers.get("idempotency-key") for call in service.received(method, path)]


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("status", [0, 502, 503])
def test_attempts_share_a_key_and_calls_do_not(
    client: Client, service: Service, tmp_path: Path, name: str, status: int
) -> None:
    method, path, send = CALLS[name]
    service.trouble = [Trouble(method, path, status, after=status == 0, times=2)]
    send(client, tmp_path)
    first = sent(service, name)
    assert len(first) == 3
    assert len(set(first)) == 1
    assert first[0]
    send(client, tmp_path)
    assert sent(service, name)[3] not in (first[0], None)


def test_a_lost_answer_makes_nothing_twice(client: Client, service: Service, tmp_path: Path, log: Log) -> None:
    service.trouble = [Trouble(method, path, 0, after=True) for method, path, _ in CALLS.values()]
    revision = log.read("m").revision
    client.promote("m", 2, alias="canary")
    client.push(package(tmp_path), "new")
    job = client.create_batch_job("m", a_file(tmp_path))["id"]
    client.create_training_job("m", "fashion-mnist")
    assert all(trouble.times == 0 for trouble in service.trouble)
    assert log.read("m").revision == revision + 1
    made = {info.key.split("/")[1] for info in service.store.list_page("uploads/").objects}
    assert len(made) == 1
    assert {info.key.split("/")[1] for info in service.store.list_page("batch/").objects} == {job}
    assert len([i for i in service.store.list_page(keys.TRAININGS).objects if i.key.endswith("/job.json")]) == 1
    last = jobs.last_run(service.store, job)
    assert last is not None
    assert last.number == 1


def test_who_is_told_to_come_again_comes_again(client: Client, service: Service) -> None:
    """An earlier attempt, whose answer was lost, is still being carried out."""
    service.trouble = [Trouble("PUT", "/aliases/canary", 409, headers={"Retry-After": "0"}, times=2)]
    assert client.promote("m", 2, alias="canary")["version"] == 2
    service.trouble = [Trouble("PUT", "/aliases/canary", 409, times=2)]
    with pytest.raises(ApiError, match="not now"):
        client.promote("m", 1, alias="canary")
    assert len(service.received("PUT", "/aliases/canary")) == 4


def test_a_long_log_is_verified_to_its_first_record(
    client: Client, log: Log, monkeypatch: pytest.MonkeyPatch, service: Service
) -> None:
    from shared.registry import verify
    from shared.registry.heads import SNAPSHOT

    push(log, "long", 2 * SNAPSHOT + 5)
    monkeypatch.setattr(verify.verify, "__defaults__", (300, *(verify.verify.__defaults__ or ())[1:]))
    report = client.verify("long")
    assert (report["verified"], report["revision"], report["since"], report["problems"]) == (True, 517, 0, [])
    assert len(service.received("GET", "/history")) == 2
    key = keys.log_record("long", 7)
    service.store.put(key, service.store.get(key).body.replace(b'"ann"', b'"eve"'))
    assert client.verify("long")["verified"] is False
