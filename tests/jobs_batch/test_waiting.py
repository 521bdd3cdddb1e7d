"""GET /batch/{job}?wait=N: how long it takes, and what it costs."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from functions.batch import app
from shared.jobs.batch import job as jobs
from shared.jobs.batch import plan
from shared.storage.memory import MemoryStore
from tests.failing import FailingStore
from tests.jobs_batch.world import a_job, run
from tests.support import Answer, call


class Clock:
    """Time that passes by sleeping alone. events: what happens when the time comes."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.events: list[tuple[float, Callable[[], None]]] = []

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        for event in [event for event in self.events if event[0] <= self.seconds]:
            self.events.remove(event)
            event[1]()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(app, "time", SimpleNamespace(**vars(time) | {"sleep": clock.sleep}))
    return clock


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> FailingStore:
    """A store that counts its calls, with a planned job whose first run is going on."""
    store = MemoryStore()
    job = a_job(store, {"a.jsonl": b"1\n2\n"}, chunk=1)
    plan.create(store, job)
    jobs.begin_run(store, job.id, 1, "tester")
    counting = FailingStore(store)
    monkeypatch.setattr(app, "store", lambda: counting)
    return counting


def get(wait: int) -> Answer:
    return call(app.handler, "GET", "/batch/j1", query={"wait": str(wait)})


def test_an_answer_comes_when_the_time_is_over(store: FailingStore, clock: Clock) -> None:
    answer = get(20)
    assert (answer.status, answer.json["state"]) == (202, "running")
    assert clock.seconds == pytest.approx(20)
    listings = [call for call in store.calls if call.operation == "list_page"]
    assert len(listings) < 40, "a paid function waits: it looks less and less often"


@pytest.mark.parametrize("end", [0.2, 3.0, 15.0])
def test_an_answer_comes_soon_after_the_end(store: FailingStore, clock: Clock, end: float) -> None:
    clock.events.append((end, lambda: run(store.store, jobs.read(store.store, "j1"))))
    answer = get(20)
    assert (answer.status, answer.json["state"], answer.json["done"]) == (200, "done", 2)
    assert end <= clock.seconds <= end + app.LONGEST_PAUSE


def test_without_wait_nothing_is_waited_for(store: FailingStore, clock: Clock) -> None:
    assert get(0).status == 202
    assert clock.seconds == 0
