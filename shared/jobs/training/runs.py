"""Start, refresh, reconcile and cancel a job: it is stored before AWS Batch is asked to run it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Protocol

from shared.clock import age, new_id, now
from shared.errors import AmaasError, Conflict, NotFound, NotImplemented_, Unavailable
from shared.jobs.training import job as jobs
from shared.jobs.training import progress, status
from shared.jobs.training.job import Job
from shared.jobs.training.request import TrainingRequest, require_valid
from shared.jobs.training.status import AwsBatchReport
from shared.storage.base import Store

logger = logging.getLogger(__name__)
SETTLED = 60.0  # seconds after which a job that was submitted is in the queue's list for certain


class Refused(Unavailable):
    """AWS Batch has not taken a job, and never will take this one."""


class Queue(Protocol):
    """What runs jobs: queue.py, or a test's own. It would take a job twice: see `_submit`."""

    def submit(self, job: str, deployment: str) -> str: ...

    def find_submitted(self, job: str) -> str | None: ...

    def find(self, aws_id: str) -> dict[str, Any] | None: ...

    def stop(self, aws_id: str, reason: str) -> None: ...


def start(
    store: Store,
    queue: Queue | None,
    request: TrainingRequest,
    by: str,
    bucket: str,
    identity: str = "",
    admit: Callable[[str], None] = lambda job: None,
) -> Job:
    """Raises BadInput; NotImplemented_ without a queue; Unavailable, after which the stored job is a failed one.

    identity: the id to use, by which an interrupted call is repeated; a job that has reached the queue, may have
    reached it a moment ago, or has failed to, is not submitted again. admit: called with the id of a job that is about
    to be stored; what it raises keeps it from that.
    """
    require_valid(request, bucket)
    if queue is None:
        raise NotImplemented_(
            "this deployment has no training queue: `amaas train --local` trains on your own machine and pushes the "
            "result; or deploy with TrainingQueue=gpu and an image, as training/README.md says"
        )
    new = Job(
        id=identity or new_id(),
        model=request.model,
        data=request.data,
        by=by,
        created_at=now(),
        arguments=dict(request.arguments),
    )
    job = jobs.find(store, identity) if identity else None
    if job is None:
        admit(new.id)
        job = jobs.create(store, new)
    if identity and (status.read_report(store, job.id) or jobs.read_report(store, job.id)):
        return job
    aws_id = _submit(store, queue, job, bucket) if job is new else _submit_again(store, queue, job, bucket)
    status.record_submission(store, job.id, aws_id, now())
    return job


def _submit(store: Store, queue: Queue, job: Job, bucket: str) -> str:
    """The job's id in AWS Batch, which knows no repeated submissions: after a lost reply, the queue is looked through.

    Raises Refused, with the stored job failed; Unavailable where it is open whether the job was taken. It is
    then `submitted`: an event of AWS Batch will tell, and without one it fails (progress.SUBMISSION_TIMEOUT).
    """
    try:
        return queue.submit(job.id, bucket)
    except Refused as error:
        jobs.write_report(store, job.id, 0, "failed", f"it never reached the queue: {error}")
        raise
    except Unavailable as error:
        aws_id = queue.find_submitted(job.id)
        if aws_id is None:
            raise Unavailable(
                f"it is not known whether training job {job.id} was submitted ({error}): GET /training-jobs/{job.id} "
                f"says so within {round(progress.SUBMISSION_TIMEOUT / 60)} minutes"
            ) from error
        return aws_id


def _submit_again(store: Store, queue: Queue, job: Job, bucket: str) -> str:
    """Of a job that an interrupted call has stored, and perhaps submitted. Raises as _submit does."""
    aws_id = queue.find_submitted(job.id)
    if aws_id is not None:
        return aws_id
    if age(job.created_at) < SETTLED:
        unsettled = Unavailable(f"training job {job.id} may have been submitted just now: repeat the call in a minute")
        unsettled.retry_after = round(SETTLED)
        raise unsettled
    return _submit(store, queue, job, bucket)


def refresh(store: Store, queue: Queue | None, job: Job) -> None:
    """Query AWS Batch where no event has arrived for long: an event may be lost."""
    report = progress.stale_report(store, job)
    if queue is None or report is None:
        return
    try:
        _refreshed(store, queue, job, report)
    except Unavailable as error:  # the status as stored is still an answer
        logger.warning("AWS Batch does not answer", extra={"job": job.id, "why": str(error)})


def _refreshed(store: Store, queue: Queue, job: Job, report: AwsBatchReport) -> AwsBatchReport | None:
    """The latest report, after AWS Batch was queried. Raises Unavailable."""
    detail = queue.find(report.id)
    if detail is None:
        return status.record_loss(store, job.id, report, now())
    return status.record(store, {**detail, "jobName": job.id}, now())


def reconcile(store: Store, queue: Queue, seconds: float) -> list[str]:
    """Bring jobs on whose events were lost, or that wait for a machine in vain. Returns the ids of the ended.

    seconds: no job is begun after them; jobs come newest first. An error on one job never ends the look.
    """
    deadline = time.monotonic() + seconds
    ended = []
    for identity in jobs.list_ids(store):
        if time.monotonic() > deadline:
            logger.info("left for the next look", extra={"job": identity})
            break
        try:
            ended += [identity] if _reconcile(store, queue, identity) else []
        except AmaasError as error:
            logger.warning("still without an end", extra={"job": identity, "why": str(error)})
        except Exception:  # a fault of ours that one job brings out must not hide the jobs behind it
            logger.exception("still without an end", extra={"job": identity})
    return ended


def _reconcile(store: Store, queue: Queue, identity: str) -> bool:
    """Whether this look has ended the job. Of a job that AWS Batch has ended, one object is read."""
    report = status.read_report(store, identity)
    if report is None or report.status in status.FINAL:
        return False
    job = jobs.read(store, identity)
    latest = _refreshed(store, queue, job, report)
    if latest is not None and latest.status in status.FINAL:
        return True
    if jobs.read_cancellation(store, identity):  # the call that should have stopped it failed
        queue.stop(report.id, "cancelled")
        return False
    if progress.unplaced(store, job) is None:
        return False
    hours = round(progress.WAITING_TIMEOUT / 3600)
    queue.stop(report.id, f"waited {hours} hours for a machine")
    why = f" (AWS Batch: {report.reason})" if report.reason else ""
    reason = (
        f"no machine could be had for it within {hours} hours{why}: an operator deploys with other TrainingInstances "
        "or a larger TrainingMaxVcpus; then start it again"
    )
    jobs.write_report(store, identity, report.ended, "failed", reason)
    return True


def has_ended(store: Store, queue: Queue | None, identity: str) -> bool | None:
    """Whether a job is over; None if there is none, as far as is stored."""
    try:
        job = jobs.read(store, identity)
    except NotFound:
        return None
    refresh(store, queue, job)
    return progress.status(store, job)["state"] in progress.FINAL


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
