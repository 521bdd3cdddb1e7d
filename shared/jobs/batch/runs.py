"""Starting, resuming and cancelling: a run is noted in the store before the machine is asked to carry it out."""

from __future__ import annotations

from typing import Protocol

from shared.errors import Conflict
from shared.jobs.batch import job as jobs
from shared.jobs.batch import progress
from shared.jobs.batch.job import Job
from shared.jobs.batch.plan import planned
from shared.storage.base import Store


class Machine(Protocol):
    """What carries runs out: machine.py, or a fake. A run that is started twice is one: job and number name it."""

    def start(self, job: str, run: int) -> None: ...

    def going(self, job: str, run: int) -> bool: ...

    def stop(self, job: str, run: int) -> None: ...


def start(store: Store, machine: Machine, job: Job, by: str) -> None:
    """Begin, or go on with what is left. Nothing happens where a run is going, or everything is done."""
    plan, last = planned(store, job.id), jobs.last_run(store, job.id)
    if plan and len(progress.done(store, job.id)) == plan.chunks:
        return
    if last and not last.ended:
        if not last.cancelled and machine.going(job.id, last.number):
            return
        # it was cancelled, or died without a word: its workers can do no harm, since outputs are written once
        jobs.end(store, job.id, last.number, error="the run was interrupted: start it again")
    run = jobs.begin(store, job.id, last.number + 1 if last else 1, by)
    machine.start(job.id, run.number)


def cancel(store: Store, machine: Machine, job: Job) -> None:
    """Stop a run; what is done stays, and a start goes on with the rest. Raises Conflict when there is none."""
    last = jobs.last_run(store, job.id)
    if last is None or last.ended:
        raise Conflict(f"batch job {job.id!r} is not running: there is nothing to cancel")
    jobs.cancel(store, job.id, last.number)
    machine.stop(job.id, last.number)
