"""Start, resume and cancel a job: a run is stored before the state machine is asked to carry it out."""

from __future__ import annotations

from typing import Protocol

from shared.errors import Conflict
from shared.jobs.batch import job as jobs
from shared.jobs.batch import plan, progress
from shared.jobs.batch.job import Job
from shared.storage.base import Store


class Machine(Protocol):
    """What carries out runs: machine.py, or a test's own. Starting a run twice is one run: job and number name it."""

    def start(self, job: str, run: int) -> None: ...

    def is_running(self, job: str, run: int) -> bool: ...

    def stop(self, job: str, run: int) -> None: ...


def start(store: Store, machine: Machine, job: Job, by: str) -> None:
    """Start a run of the chunks that are left. Does nothing while a run is going on, and where all chunks are done."""
    summary, last = plan.read_summary(store, job.id), jobs.last_run(store, job.id)
    if summary and len(progress.list_finished(store, job.id)) == summary.chunks:
        return
    if last and not last.ended:
        if not last.cancelled and machine.is_running(job.id, last.number):
            return
        # cancelled, or ended without a record: workers of it that still run do no harm, since outputs are written once
        jobs.end_run(store, job.id, last.number, error="the run was interrupted: start it again")
    run = jobs.begin_run(store, job.id, last.number + 1 if last else 1, by)
    machine.start(job.id, run.number)


def cancel(store: Store, machine: Machine, job: Job) -> None:
    """Stop the present run. Outputs stay, and a later start does the rest. Raises Conflict when there is no run."""
    last = jobs.last_run(store, job.id)
    if last is None or last.ended:
        raise Conflict(f"batch job {job.id!r} is not running: there is nothing to cancel")
    jobs.cancel_run(store, job.id, last.number)
    machine.stop(job.id, last.number)
