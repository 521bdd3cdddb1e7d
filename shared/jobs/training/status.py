"""Status reports of AWS Batch, stored with the job. Its events arrive more than once, late and in any order.

A report is stored only if it is newer than the stored one: by the number of attempts that have ended, then by how far
the present attempt is. Times do not decide: those of events have whole seconds. A final report is never replaced.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Struct

from shared import keys
from shared.jobs.training.job import JSON, decode, read_record
from shared.storage.base import AlreadyExists, ObjectNotFound, PreconditionFailed, Store

Status = Literal["SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED"]
ORDER = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED")
FINAL = ("SUCCEEDED", "FAILED")
RESUMABLE = 75  # exit code of a container that was stopped and can be continued (sysexits.h: EX_TEMPFAIL)
KILLED = 137  # 128 + SIGKILL


class AwsBatchReport(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="format", tag=1):
    """The latest status in AWS Batch. id: the job's id there. ended: number of attempts that have ended."""

    id: str
    status: Status
    at: str
    ended: int = 0
    reason: str | None = None

    @property
    def progress(self) -> tuple[int, int]:
        """Grows as the job gets on, whatever the order of events: a job that is tried again is RUNNABLE once more."""
        return self.ended, ORDER.index(self.status)


AWS_BATCH_REPORT = msgspec.json.Decoder(AwsBatchReport)


def read_report(store: Store, job: str) -> AwsBatchReport | None:
    """None for a job that did not reach AWS Batch."""
    report: AwsBatchReport | None = read_record(store, job, "batch", AWS_BATCH_REPORT)
    return report


def record_submission(store: Store, job: str, aws_id: str, at: str) -> AwsBatchReport:
    return _store_if_newer(store, job, AwsBatchReport(id=aws_id, status="SUBMITTED", at=at))


def record_loss(store: Store, job: str, last: AwsBatchReport, at: str) -> AwsBatchReport:
    """Store as failed a job that AWS Batch does not know any more: it keeps ended jobs for a week."""
    reason = "AWS Batch has no record of this job any more"
    return _store_if_newer(
        store, job, AwsBatchReport(id=last.id, status="FAILED", at=at, ended=last.ended, reason=reason)
    )


def record(store: Store, detail: dict[str, Any], at: str) -> AwsBatchReport | None:
    """Store the status in an event, or in an answer of DescribeJobs. Returns the latest report; None for other jobs.

    detail: a JobDetail of AWS Batch, whose jobName is the id of our job.
    """
    job, aws_id, status = (str(detail.get(name)) for name in ("jobName", "jobId", "status"))
    if not keys.is_training(job) or status not in ORDER:
        return None
    try:
        store.head(keys.training_record(job, "job"))
    except ObjectNotFound:
        return None
    ended = sum(1 for attempt in detail.get("attempts") or [] if attempt.get("stoppedAt"))
    return _store_if_newer(
        store,
        job,
        msgspec.convert(
            {"id": aws_id, "status": status, "at": at, "ended": ended, "reason": explain(detail)}, AwsBatchReport
        ),
    )


def _store_if_newer(store: Store, job: str, report: AwsBatchReport) -> AwsBatchReport:
    key, body = keys.training_record(job, "batch"), msgspec.json.encode(report)
    while True:
        try:
            present = store.get(key)
        except ObjectNotFound:
            try:
                store.put(key, body, if_absent=True, content_type=JSON)
                return report
            except AlreadyExists:
                continue
        stored: AwsBatchReport = decode(AWS_BATCH_REPORT, present.body, job)
        # another id: somebody else's job of the same name
        if stored.id != report.id or stored.status in FINAL or report.progress <= stored.progress:
            return stored
        try:
            store.put(key, body, if_match=present.etag, content_type=JSON)
            return report
        except PreconditionFailed:
            continue  # another event was faster: compare with what it stored


def explain(detail: dict[str, Any]) -> str | None:
    """Why a job failed, or does not start, and what to do about it."""
    text = str(detail.get("statusReason") or "")
    if detail.get("status") != "FAILED":
        return text or None
    attempts = detail.get("attempts") or [{}]
    # the job's own container is the last attempt's, where AWS Batch fills it in
    container = {**(attempts[-1].get("container") or {}), **(detail.get("container") or {})}
    return _known_failure(text, container, len(attempts)) or _exit_code(text, container)


def _known_failure(text: str, container: dict[str, Any], attempts: int) -> str | None:
    """The failures that an operator or a user can do something about."""
    code, container_reason = container.get("exitCode"), str(container.get("reason") or "")
    if text.startswith("Host EC2"):
        return f"the spot machine was reclaimed in each of {attempts} attempts ({text}): train again later"
    # a job that is stopped at its time limit has exit code 137 too
    if "OutOfMemory" in container_reason or (code == KILLED and "timeout" not in text):
        return (
            "the container ran out of memory (exit code 137): use a smaller batch, or deploy with more TrainingMemory"
        )
    if "CannotPull" in container_reason:
        return (
            f"the image could not be pulled ({container_reason[:300]}): check TrainingImage, and the route from the "
            "subnets to its registry"
        )
    if "timeout" in text:
        return f"it exceeded the time limit ({text}): deploy with more TrainingSeconds, or train fewer epochs"
    if code == RESUMABLE:
        return f"it was interrupted in each of {attempts} attempts: train again later"
    return None


def _exit_code(text: str, container: dict[str, Any]) -> str:
    code = container.get("exitCode")
    if code is not None:
        log = f"; its log is {container['logStreamName']}" if container.get("logStreamName") else ""
        return f"the container ended with exit code {code}{log}"
    parts = (text, str(container.get("reason") or ""))
    return " ".join(part for part in parts if part)[:500] or "AWS Batch gave no reason"
