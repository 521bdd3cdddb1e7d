"""Starting a job again and again: one run at a time, the next one only when it has ended, nothing when all is done."""

from __future__ import annotations

import pytest

from shared.errors import Conflict
from shared.jobs.batch import job as jobs
from shared.jobs.batch import runs
from shared.jobs.batch.job import Job
from shared.jobs.batch.runs import Execution
from shared.storage.memory import MemoryStore
from tests.jobs_batch.world import a_job, run


class Machine:
    """started: the runs that it was asked for. running: what it says of all of them."""

    def __init__(self) -> None:
        self.started: list[int] = []
        self.running = True

    def start(self, job: str, run: int) -> None:
        self.started.append(run)

    def look(self, job: str, run: int) -> Execution:
        return Execution(running=self.running, status="running" if self.running else "TIMED_OUT")

    def stop(self, job: str, run: int) -> None:
        self.running = False


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def job(store: MemoryStore) -> Job:
    return a_job(store, {"a.jsonl": b'{"n": 1}\n{"n": 2}'})


def test_a_second_start_of_a_running_job_starts_nothing(store: MemoryStore, job: Job, machine: Machine) -> None:
    for _ in range(3):
        runs.start(store, machine, job, "ann")
    assert machine.started == [1]
    last = jobs.last_run(store, job.id)
    assert last is not None
    assert (last.number, last.ended) == (1, False)


def test_a_run_that_died_is_followed_by_another(store: MemoryStore, job: Job, machine: Machine) -> None:
    runs.start(store, machine, job, "ann")
    machine.running = False
    runs.start(store, machine, job, "ann")
    assert machine.started == [1, 2]
    assert "interrupted" in (jobs.read_run_end(store, job.id, 1).error or "")
    machine.running = True
    runs.start(store, machine, job, "ann")
    assert machine.started == [1, 2]


def test_a_cancelled_run_may_be_started_again(store: MemoryStore, job: Job, machine: Machine) -> None:
    runs.start(store, machine, job, "ann")
    runs.cancel(store, machine, job)
    machine.running = True  # it takes a while to stop
    runs.start(store, machine, job, "ann")
    assert machine.started == [1, 2]


def test_a_job_that_is_done_is_not_started(store: MemoryStore, job: Job, machine: Machine) -> None:
    runs.start(store, machine, job, "ann")
    run(store, job)
    runs.start(store, machine, job, "ann")
    assert machine.started == [1]


def test_of_two_who_start_at_once_one_does(store: MemoryStore, job: Job, machine: Machine) -> None:
    jobs.begin_run(store, job.id, 1, "bob")
    with pytest.raises(Conflict, match="at the same time"):
        jobs.begin_run(store, job.id, 1, "ann")
