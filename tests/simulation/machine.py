"""The state machine of batch jobs, as template.yaml has it: plan, chunks that are tried again, end; and it may die."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from shared.jobs.batch import plan
from shared.jobs.batch.runs import Execution
from tests.simulation.cloud import Cloud
from tests.simulation.engine import Process

CONCURRENCY = 3
STEP_RETRIES = (2.0, 6.0, 18.0)
# as the retriers of a chunk, by the name of the error: pauses in seconds
NOT_FINISHED, CHUNK_FAILED, ANY = (1.0,) * 1000, (2.0, 6.0, 18.0, 54.0), (1.0,) * 200


class Machine:
    """Satisfies runs.Machine. Executions have the run's name, so that a repeated start is the same one."""

    def __init__(self, cloud: Cloud, aborts: float) -> None:
        """aborts: the share of executions that end at some step without a word."""
        self.cloud, self.aborts = cloud, aborts
        self.executions: dict[tuple[str, int], RunOfMachine] = {}

    def start(self, job: str, run: int) -> None:
        if (job, run) not in self.executions:
            self.executions[job, run] = RunOfMachine(self, job, run)
            self.cloud.engine.after(0.2, self.executions[job, run].plan)

    def look(self, job: str, run: int) -> Execution | None:
        execution = self.executions.get((job, run))
        return Execution(execution.status == "running", execution.status) if execution else None

    def stop(self, job: str, run: int) -> None:
        if (job, run) in self.executions:
            self.executions[job, run].status = "aborted"


class RunOfMachine:
    """One execution. status: running, succeeded or aborted."""

    def __init__(self, machine: Machine, job: str, run: int) -> None:
        self.cloud, self.job, self.run, self.status = machine.cloud, job, run, "running"
        rng = self.cloud.engine.rng
        self._steps_left = rng.randrange(1, 12) if rng.random() < machine.aborts else -1
        self._waiting: Iterator[dict[str, Any]] = iter(())
        self._active = 0

    def plan(self) -> None:
        event = {"step": "plan", "job": self.job, "run": self.run}
        self._step("batchplan", event, STEP_RETRIES, self._planned)

    def _planned(self, answer: Any) -> None:
        if answer is None:
            self._finish({"Error": "Lambda", "Cause": "no plan"})
        elif not answer["chunks"]:
            self.status = "succeeded"
        else:
            self._waiting = iter(json.loads(self.cloud.objects.get(plan.plan_key(self.job)).body))
            for _ in range(CONCURRENCY):
                self._next_chunk()

    def _next_chunk(self) -> None:
        chunk = next(self._waiting, None)
        if chunk is None:
            if not self._active:
                self._active = -1
                self._finish(None)
            return
        self._active += 1
        self._chunk({"job": self.job, "run": self.run, "chunk": chunk}, {})

    def _chunk(self, event: dict[str, Any], tried: dict[str, int]) -> None:
        def ended(process: Process) -> None:
            name = type(process.error).__name__
            pauses = {"NoneType": (), "NotFinished": NOT_FINISHED, "ChunkFailed": CHUNK_FAILED}.get(name, ANY)
            count = tried.get(name, 0)
            if process.error is not None and count < len(pauses):
                again = {**tried, name: count + 1}
                self.cloud.engine.after(pauses[count], lambda: self._chunk(event, again))
                return
            self._active -= 1
            self._next_chunk()

        if self._goes_on():
            self.cloud.invoke("batchwork", event, ended)

    def _finish(self, error: dict[str, str] | None) -> None:
        event = {"step": "finish", "job": self.job, "run": self.run} | ({"error": error} if error else {})

        def ended(_: Any) -> None:
            self.status = "succeeded"

        self._step("batchplan", event, STEP_RETRIES * 2, ended)

    def _step(
        self, function: str, event: dict[str, Any], pauses: tuple[float, ...], then: Callable[[Any], None]
    ) -> None:
        """Invoke, again after each pause while it fails, then go on with the answer, or None."""

        def ended(process: Process) -> None:
            if process.error is None:
                then(process.result)
            elif pauses:
                self.cloud.engine.after(pauses[0], lambda: self._step(function, event, pauses[1:], then))
            else:
                then(None)

        if self._goes_on():
            self.cloud.invoke(function, event, ended)

    def _goes_on(self) -> bool:
        self._steps_left -= 1
        if self._steps_left == 0 and self.status == "running":
            self.status = "aborted"
        return self.status == "running"
