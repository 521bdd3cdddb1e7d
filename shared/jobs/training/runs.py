"""Starting, following up and cancelling: a job is noted in the store before AWS Batch is asked to carry it out."""

from __future__ import annotations

import logging
from typing import Any, Protocol

from shared.clock import new_id, now
from shared.errors import Conflict, NotImplemented_, Unavailable
from shared.jobs.training import job as jobs
from shared.jobs.training import progress, status
from shared.jobs.training.job import Job
from shared.jobs.training.request import TrainingRequest, check
from shared.storage.base import Store

logger = logging.getLogger(__name__)


class Queue(Protocol):
    """What carries jobs out: queue.py, or a fake."""

    def submit(self, job: str, deployment: str) -> str: ...

    def find(self, number: str) -> dict[str, Any] | None: ...

    def stop(self, number: str, reason: str) -> None: ...


def start(store: Store, queue: Queue | None, request: TrainingRequest, by: str, bucket: str) -> Job:
    """Raises BadInput, NotImplemented_ without a queue, and Unavailable: then the job is noted as failed."""
    check(request, bucket)
    if queue is None:
        raise NotImplemented_(
            "this deployment has no training queue: `amaas train --local` trains on your own machine and pushes the "
            "result; or deploy with TrainingQueue=gpu and an image, as training/README.md says"
        )
    job = jobs.create(
        store,
        Job(
            id=new_id(),
            model=request.model,
            data=request.data,
            by=by,
            created_at=now(),
            arguments=dict(request.arguments),
        ),
    )
    try:
        number = queue.submit(job.id, bucket)
    except Unavailable as error:
        jobs.say(store, job.id, 0, "failed", f"it never reached the queue: {error}")
        raise
    status.submitted(store, job.id, number, now())
    return job


def follow_up(store: Store, queue: Queue | None, job: Job) -> None:
    """Ask AWS Batch itself where no event has come for long: an event may be lost."""
    word = progress.heard(store, job)
    if queue is None or word is None:
        return
    try:
        detail = queue.find(word.id)
    except Unavailable as error:  # what is known can be told all the same
        logger.warning("AWS Batch does not answer", extra={"job": job.id, "why": str(error)})
        return
    if detail is None:
        status.forgotten(store, job.id, word, now())
    else:
        status.note(store, {**detail, "jobName": job.id}, now())


def cancel(store: Store, queue: Queue | None, job: Job, by: str) -> None:
    """The last checkpoint stays. Raises Conflict for a job that is over, and Unavailable: then once more does it."""
    state = progress.status(store, job)["state"]
    word: status.Word | None = jobs.record(store, job.id, "batch", status.WORD)
    runs = word is not None and word.status not in status.LAST
    if state in progress.OVER and not (state == "cancelled" and runs):
        raise Conflict(f"training job {job.id!r} is over ({state}): there is nothing to cancel")
    jobs.cancel(store, job.id, by)
    if queue is not None and word is not None:
        queue.stop(word.id, "cancelled")
