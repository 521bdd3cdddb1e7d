"""A run whose execution is over without having said so: seen when anybody asks, failed with a reason, and resumable."""

from __future__ import annotations

import time
from typing import Any

import pytest

from functions.batch import app
from shared.clock import now
from shared.errors import Unavailable
from shared.jobs.batch import job as jobs
from shared.jobs.batch import plan, progress, runs
from shared.jobs.batch.machine import StateMachine
from shared.jobs.batch.runs import Execution
from shared.jobs.batch.work import process
from shared.storage.memory import MemoryStore
from tests.jobs_batch.world import MANIFEST, a_job, answers, chunks, echo, for_ever, run
from tests.support import call


class Machine:
    """Executions by run: whether they go on, and what is said of them. away: the machine does not answer."""

    def __init__(self) -> None:
        self.executions: dict[int, Execution] = {}
        self.away = False
        self.started: list[int] = []

    def start(self, job: str, run: int) -> None:
        self.started.append(run)
        self.executions.setdefault(run, Execution(running=True, status="running"))

    def look(self, job: str, run: int) -> Execution | None:
        if self.away:
            raise Unavailable("the machine is away")
        return self.executions.get(run)

    def stop(self, job: str, run: int) -> None:
        self.executions[run] = Execution(running=False, status="aborted")


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    store = MemoryStore()
    monkeypatch.setattr(app, "store", lambda: store)
    return store


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine()
    monkeypatch.setattr(app, "machine", lambda: machine)
    return machine


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets time pass."""

    def pass_(seconds: float) -> None:
        frozen = time.time() + seconds
        monkeypatch.setattr(time, "time", lambda: frozen)

    return pass_


def status() -> dict[str, Any]:
    answer = call(app.handler, "GET", "/batch/j1")
    assert answer.status in (200, 202), answer.body
    return dict(answer.json)


DEATHS = [
    Execution(running=False, status="aborted: someone"),
    Execution(running=False, status="failed: States.Runtime: no such thing"),
    Execution(running=False, status="timed_out"),
    Execution(running=False, status="succeeded"),  # and stored no end: its last step was lost
]


@pytest.mark.parametrize("death", DEATHS, ids=[death.status.partition(":")[0] for death in DEATHS])
@pytest.mark.parametrize("planned", [True, False])
def test_a_dead_execution_is_a_failed_job(
    death: Execution, planned: bool, store: MemoryStore, machine: Machine, later: Any
) -> None:
    job = a_job(store, {"a.jsonl": b"1\n2\n3\n"}, chunk=1)
    runs.start(store, machine, job, "tester")
    if planned:
        plan.create(store, job)
        process(store, job, 1, chunks(store, job)[0], MANIFEST, echo, for_ever)
    machine.executions[1] = death
    later(runs.QUIET + 1)
    answer = status()
    assert (answer["state"], answer["done"]) == ("failed", int(planned))
    assert death.status in answer["error"] and "start the job again: what is done stays" in answer["error"]
    assert status()["state"] == "failed", "and it stays so"
    again = call(app.handler, "POST", "/batch/j1/start", {})
    assert (again.status, again.json["state"]) == (202, "running" if planned else "planning")
    assert machine.started == [1, 2]
    run(store, job, number=2)
    assert status()["state"] == "done"
    assert [line["index"] for line in answers(store, job)] == [0, 1, 2]


def test_an_execution_that_was_never_begun(store: MemoryStore, machine: Machine, later: Any) -> None:
    """Whoever stored the run died before it asked for the execution."""
    job = a_job(store, {"a.jsonl": b"1\n"})
    jobs.begin_run(store, job.id, 1, "tester")
    later(runs.QUIET + 1)
    assert status()["state"] == "planning"
    assert call(app.handler, "POST", "/batch/j1/start", {}).json["state"] == "planning"
    assert machine.started == [1], "the same run, whose execution was missing"
    machine.executions.clear()
    later(runs.GRACE)
    answer = status()
    assert answer["state"] == "failed" and "never begun" in answer["error"]


def test_a_run_that_goes_on_and_a_machine_that_is_away_change_nothing(
    store: MemoryStore, machine: Machine, later: Any
) -> None:
    job = a_job(store, {"a.jsonl": b"1\n"})
    runs.start(store, machine, job, "tester")
    later(3600)
    assert status()["state"] == "planning"
    machine.away, machine.executions = True, {}
    assert status()["state"] == "planning"
    assert not [info for info in store.list_page("batch/j1/runs/").objects if info.key.endswith("end.json")]


def test_an_end_that_was_stored_meanwhile_stays(store: MemoryStore, machine: Machine, later: Any) -> None:
    job = a_job(store, {"a.jsonl": b"1\n"})
    runs.start(store, machine, job, "tester")
    run(store, job)
    machine.executions[1] = Execution(running=False, status="succeeded")
    later(3600)
    assert status()["state"] == "done" and progress.status(store, job)["done"] == 1
    assert jobs.read_run_end(store, "j1", 1).died is False


def test_a_cancelled_run_stays_cancelled(store: MemoryStore, machine: Machine, later: Any) -> None:
    job = a_job(store, {"a.jsonl": b"1\n"})
    runs.start(store, machine, job, "tester")
    assert call(app.handler, "DELETE", "/batch/j1").json["state"] == "cancelled"
    later(3600)
    assert status()["state"] == "cancelled"


def test_what_step_functions_says() -> None:
    class Client:
        def __init__(self, **execution: Any) -> None:
            self.execution, self.stopped = execution, False

        def describe_execution(self, executionArn: str) -> dict[str, Any]:
            return self.execution

        def stop_execution(self, executionArn: str, cause: str) -> dict[str, Any]:
            self.stopped = True
            return {}

    dead = Client(status="FAILED", error="States.Runtime", cause="x" * 1000)
    machine = StateMachine("arn:aws:states:r:1:stateMachine:m", client=dead)
    execution = machine.look("j1", 1)
    assert execution is not None and not execution.running
    assert execution.status.startswith("failed: States.Runtime: xxx") and len(execution.status) == 400
    machine.stop("j1", 1)
    assert not dead.stopped, "what is over cannot be stopped"
    alive = Client(status="RUNNING")
    StateMachine("arn:aws:states:r:1:stateMachine:m", client=alive).stop("j1", 1)
    assert alive.stopped


def test_ages() -> None:
    from shared.clock import age

    assert 0 <= age(now()) < 60 and 99 < age(now(-100)) < 160
