"""The two functions of training jobs on one in-memory store, with a queue that keeps what it was asked."""

from __future__ import annotations

from typing import Any

import pytest

from shared.clock import now
from shared.config import Config
from shared.storage.memory import MemoryStore
from tests.support import Answer, call, load_event

BUCKET = "amaas"
ASKED = {"model": "shoes", "data": "fashion-mnist", "arguments": {"epochs": 3, "no-flip": True}}


class Queue:
    """Of AWS Batch, as much of it as jobs notice."""

    def __init__(self) -> None:
        self.submitted: list[str] = []
        self.stopped: list[str] = []
        self.details: dict[str, dict[str, Any]] = {}
        self.trouble: Exception | None = None

    def submit(self, job: str, deployment: str) -> str:
        if self.trouble:
            raise self.trouble
        assert deployment == BUCKET
        self.submitted.append(job)
        return f"number-of-{job}"

    def find(self, number: str) -> dict[str, Any] | None:
        if self.trouble:
            raise self.trouble
        return self.details.get(number)

    def stop(self, number: str, reason: str) -> None:
        if self.trouble:
            raise self.trouble
        self.stopped.append(number)


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, queue: Queue) -> MemoryStore:
    import functions.training.app
    import functions.trainingstate.app

    made = MemoryStore()
    for app in (functions.training.app, functions.trainingstate.app):
        monkeypatch.setattr(app, "store", lambda: made)
    monkeypatch.setattr(functions.training.app, "config", lambda: Config(bucket=BUCKET))
    monkeypatch.setattr(functions.training.app, "queue", lambda: queue)
    return made


def ask(method: str, path: str, body: Any = b"", **more: Any) -> Answer:
    from functions.training import app

    return call(app.handler, method, path, body, **more)


def event(job: str, status: str, *, ended: int = 0, number: str = "", **detail: Any) -> dict[str, Any]:
    """AWS Batch's own event about a job. ended: attempts that have come to an end."""
    made = load_event("batch_job_state") | {"time": now()[:19] + "Z"}
    attempt = {"container": {"logStreamName": "job/default/1"}, "startedAt": 1, "stoppedAt": 2, "statusReason": "x"}
    made["detail"] |= {"jobName": job, "jobId": number or f"number-of-{job}", "status": status}
    made["detail"] |= {"attempts": [attempt] * ended, **detail}
    return made


def tell(job: str, status: str, **more: Any) -> dict[str, Any]:
    """Have an event handled."""
    from functions.trainingstate import app

    return app.handler(event(job, status, **more), None)
