"""Start, look after, resume and cancel a job: a run is stored before the state machine is asked to carry it out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from shared.clock import age
from shared.errors import Conflict, NotFound, Unavailable
from shared.jobs.batch import job as jobs
from shared.jobs.batch import plan, progress
from shared.jobs.batch.job import Job
from shared.storage.base import Store

logger = logging.getLogger(__name__)

GRACE = 60.0  # seconds from the record of a run to its execution, at most
QUIET = 5.0  # seconds after its start for which a run is taken for alive: most jobs are done by then
REMEDY = "start the job again: what is done stays"


class Execution(Struct, frozen=True):
    """What the machine says of a run. status: in words, with the error if it has ended with one."""

    running: bool
    status: str


class Machine(Protocol):
    """What carries out runs: machine.py, or a test's own. Starting a run twice is one run: job and number name it."""

    def start(self, job: str, run: int) -> None: ...

    def look(self, job: str, run: int) -> Execution | None: ...

    def stop(self, job: str, run: int) -> None: ...


def start(store: Store, machine: Machine, job: Job, by: str, admit: Callable[[int], None] = lambda run: None) -> None:
    """Start a run of the chunks that are left. Does nothing while a run is going on, and where all chunks are done.

    admit: called with the number of a run that is about to begin; what it raises keeps the run from it.
    """
    summary, last = plan.read_summary(store, job.id), jobs.last_run(store, job.id)
    if summary and len(progress.list_finished(store, job.id)) == summary.chunks:
        return
    if last and not last.ended:
        if not last.cancelled and _goes_on(machine, job, last):
            return
        # cancelled, or ended without a record: workers of it that still run do no harm, since outputs are written once
        jobs.end_run(store, job.id, last.number, error=f"the run was interrupted: {REMEDY}")
    number = last.number + 1 if last else 1
    admit(number)
    run = jobs.begin_run(store, job.id, number, by)
    machine.start(job.id, run.number)


def _goes_on(machine: Machine, job: Job, run: jobs.Run) -> bool:
    execution = machine.look(job.id, run.number)
    if execution is None and age(run.started_at) < GRACE:
        # whoever stored the run is about to ask for its execution, or died before: both times it is the same one
        machine.start(job.id, run.number)
        return True
    return execution is not None and execution.running


def refresh(store: Store, machine: Callable[[], Machine], job: Job) -> bool:
    """Store the end of a run whose execution is over without having stored one: aborted, failed, or never begun.

    Returns whether the run is over. Where the machine does not answer, all stays as it was. machine: made only
    if it has to be asked, as with it the SDK is imported.
    """
    last = jobs.last_run(store, job.id)
    if last is None or last.ended or last.cancelled:
        return True
    try:
        why = None if age(last.started_at) < QUIET else _death(machine(), job, last)
    except Unavailable as error:
        logger.warning("not looked after", extra={"job": job.id, "why": str(error)})
        return False
    if why is None:
        return False
    # if the run has stored its own end meanwhile, that one stays
    jobs.end_run(store, job.id, last.number, error=f"the run ended before it was finished ({why}): {REMEDY}", died=True)
    logger.warning("run ended without a record", extra={"job": job.id, "run": last.number, "why": why})
    return True


def _death(machine: Machine, job: Job, run: jobs.Run) -> str | None:
    """Why a run that stored no end is over; None for one that goes on."""
    execution = machine.look(job.id, run.number)
    if execution is None:
        return "its execution was never begun, or is no longer known" if age(run.started_at) > GRACE else None
    return None if execution.running else f"its execution {execution.status}"


def has_ended(store: Store, machine: Callable[[], Machine], name: str) -> bool | None:
    """Whether a run is over; None if it has not begun, as far as is stored. name: JOB.RUN, as slot_name has it."""
    identity, _, number = name.partition(".")
    try:
        job = jobs.read(store, identity)
    except NotFound:
        return None
    last = jobs.last_run(store, identity)
    if last is None or last.number < int(number):
        return None
    # a later run begins only when the one before is over
    return last.number > int(number) or refresh(store, machine, job) or not progress.is_active(store, job)


def slot_name(job: Job, run: int) -> str:
    """What tells the slots of a job's runs apart: see access/slots.py."""
    return f"{job.id}.{run}"


def cancel(store: Store, machine: Machine, job: Job) -> None:
    """Stop the present run. Outputs stay, and a later start does the rest. Raises Conflict when there is no run."""
    last = jobs.last_run(store, job.id)
    if last is None or last.ended:
        raise Conflict(f"batch job {job.id!r} is not running: there is nothing to cancel")
    jobs.cancel_run(store, job.id, last.number)
    machine.stop(job.id, last.number)
