"""Start, refresh and cancel a job: it is stored before AWS Batch is asked to run it."""

from __future__ import annotations

import logging
from typing import Any, Protocol

from shared.clock import new_id, now
from shared.errors import Conflict, NotImplemented_, Unavailable
from shared.jobs.training import job as jobs
from shared.jobs.training import progress, status
from shared.jobs.training.job import Job
from shared.jobs.training.request import TrainingRequest, require_valid
from shared.storage.base import Store

logger = logging.getLogger(__name__)


class Queue(Protocol):
    """What runs jobs: queue.py, or a test's own."""

    def submit(self, job: str, deployment: str) -> str: ...

    def find(self, aws_id: str) -> dict[str, Any] | None: ...

    def stop(self, aws_id: str, reason: str) -> None: ...


def start(store: Store, queue: Queue | None, request: TrainingRequest, by: str, bucket: str, identity: str = "") -> Job:
    """Raises BadInput; NotImplemented_ without a queue; Unavailable, after which the stored job is a failed one.

    identity: the id to use, by which an interrupted call is repeated; a job that has reached the queue, or has
    failed to, is not submitted again.
    """
    require_valid(request, bucket)
    if queue is None:
        raise NotImplemented_(
            "this deployment has no training queue: `amaas train --local` trains on your own machine and pushes the "
            "result; or deploy with TrainingQueue=gpu and an image, as training/README.md says"
        )
    job = jobs.create(
        store,
        Job(
            id=identity or new_id(),
            model=request.model,
            data=request.data,
            by=by,
            created_at=now(),
            arguments=dict(request.arguments),
        ),
    )
    if identity and (status.read_report(store, job.id) or jobs.read_report(store, job.id)):
        return job
    try:
        aws_id = queue.submit(job.id, bucket)
    except Unavailable as error:
        jobs.write_report(store, job.id, 0, "failed", f"it never reached the queue: {error}")
        raise
    status.record_submission(store, job.id, aws_id, now())
    return job


def refresh(store: Store, queue: Queue | None, job: Job) -> None:
    """Query AWS Batch where no event has arrived for long: an event may be lost."""
    report = progress.stale_report(store, job)
    if queue is None or report is None:
        return
    try:
        detail = queue.find(report.id)
    except Unavailable as error:  # the status as stored is still an answer
        logger.warning("AWS Batch does not answer", extra={"job": job.id, "why": str(error)})
        return
    if detail is None:
        status.record_loss(store, job.id, report, now())
    else:
        status.record(store, {**detail, "jobName": job.id}, now())


def cancel(store: Store, queue: Queue | None, job: Job, by: str) -> None:
    """Stop a job; its last checkpoint stays. Raises Conflict for an ended job; Unavailable: then cancel again."""
    state = progress.status(store, job)["state"]
    report = status.read_report(store, job.id)
    active = report is not None and report.status not in status.FINAL
    # a cancelled job that AWS Batch still runs: the call that should have stopped it failed
    if state in progress.FINAL and not (state == "cancelled" and active):
        raise Conflict(f"training job {job.id!r} has ended ({state}): there is nothing to cancel")
    jobs.write_cancellation(store, job.id, by)
    if queue is not None and report is not None:
        queue.stop(report.id, "cancelled")
