"""The two functions of training jobs on one in-memory store, with a queue that records its calls."""

from __future__ import annotations

from typing import Any

import pytest

from shared.clock import now
from shared.config import Config
from shared.errors import Unavailable
from shared.storage.memory import MemoryStore
from tests.support import Answer, call, load_event

BUCKET = "amaas"
REQUEST = {"model": "shoes", "data": "fashion-mnist", "arguments": {"epochs": 3, "no-flip": True}}


class Queue:
    """The part of AWS Batch that jobs depend on. It takes a job as often as it is submitted, as AWS Batch does.

    reply_lost: submissions are carried out, and nobody hears of it.
    """

    def __init__(self) -> None:
        self.submitted: list[str] = []
        self.stopped: list[str] = []
        self.details: dict[str, dict[str, Any]] = {}
        self.trouble: Exception | None = None
        self.reply_lost = False

    def submit(self, job: str, deployment: str) -> str:
        if self.trouble:
            raise self.trouble
        assert deployment == BUCKET
        self.submitted.append(job)
        if self.reply_lost:
            raise Unavailable("AWS Batch cannot be reached")
        return f"id-of-{job}"

    def find_submitted(self, job: str) -> str | None:
        if self.trouble:
            raise self.trouble
        return f"id-of-{job}" if job in self.submitted else None

    def find(self, aws_id: str) -> dict[str, Any] | None:
        if self.trouble:
            raise self.trouble
        return self.details.get(aws_id)

    def stop(self, aws_id: str, reason: str) -> None:
        if self.trouble:
            raise self.trouble
        self.stopped.append(aws_id)


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, queue: Queue) -> MemoryStore:
    import functions.training.app
    import functions.trainingstate.app

    memory = MemoryStore()
    for app in (functions.training.app, functions.trainingstate.app):
        monkeypatch.setattr(app, "store", lambda: memory)
    monkeypatch.setattr(functions.training.app, "config", lambda: Config(bucket=BUCKET))
    monkeypatch.setattr(functions.training.app, "queue", lambda: queue)
    return memory


def ask(method: str, path: str, body: Any = b"", **more: Any) -> Answer:
    from functions.training import app

    return call(app.handler, method, path, body, **more)


def event(job: str, status: str, *, ended: int = 0, aws_id: str = "", **detail: Any) -> dict[str, Any]:
    """AWS Batch's own event about a job. ended: attempts that have come to an end."""
    aws_event = load_event("batch_job_state") | {"time": now()[:19] + "Z"}
    attempt = {"container": {"logStreamName": "job/default/1"}, "startedAt": 1, "stoppedAt": 2, "statusReason": "x"}
    aws_event["detail"] |= {"jobName": job, "jobId": aws_id or f"id-of-{job}", "status": status}
    aws_event["detail"] |= {"attempts": [attempt] * ended, **detail}
    return aws_event


def deliver(job: str, status: str, **more: Any) -> dict[str, Any]:
    """Deliver an event to its function."""
    from functions.trainingstate import app

    return app.handler(event(job, status, **more), None)
