"""How far a job is: derived from the reports of AWS Batch and the container, the upload, and a cancellation."""

from __future__ import annotations

import calendar
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import Struct

from shared import keys
from shared.formats import TooNew
from shared.jobs.training import status as aws_batch
from shared.jobs.training.job import (
    CANCELLATION,
    CONTAINER_REPORT,
    JOB,
    Cancellation,
    ContainerReport,
    Job,
    decode,
    upload_id,
)
from shared.jobs.training.status import AWS_BATCH_REPORT, AwsBatchReport
from shared.storage.base import ObjectNotFound, Store, get_many, list_all
from shared.uploads.forms import UPLOAD, Upload

logger = logging.getLogger(__name__)
State = Literal["submitted", "queued", "running", "publishing", "succeeded", "failed", "cancelled"]
FINAL = ("succeeded", "failed", "cancelled")
REFRESH_AFTER = 300.0  # seconds without a report after which AWS Batch is queried: an event may be lost
SUBMISSION_TIMEOUT = 900.0  # seconds after which a job without a report of AWS Batch was never submitted
WAITING_TIMEOUT = 86400.0  # seconds that a job may wait for a machine, before its first attempt and between two
WAITING = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING")
MAX_ROWS = 10_000
MISSING = b"null"
DECODERS: list[Any] = [AWS_BATCH_REPORT, CONTAINER_REPORT, CANCELLATION, UPLOAD]  # of the members of Reports, after job


class Reports(Struct, frozen=True):
    """A job with all that is reported of it. None: that party has reported nothing yet."""

    job: Job
    aws_batch: AwsBatchReport | None = None
    container: ContainerReport | None = None
    cancellation: Cancellation | None = None
    upload: Upload | None = None

    @property
    def aws_status(self) -> str | None:
        return self.aws_batch.status if self.aws_batch else None

    @property
    def phase(self) -> str | None:
        return self.container.phase if self.container else None

    @property
    def upload_state(self) -> str | None:
        return self.upload.state if self.upload else None

    @property
    def runs(self) -> bool:
        """The container of the present attempt may report before the event of AWS Batch arrives."""
        ended = self.aws_batch.ended if self.aws_batch else 0
        started = self.container is not None and self.container.phase == "running" and self.container.attempt > ended
        return self.aws_status == "RUNNING" or started

    @property
    def unsubmitted(self) -> bool:
        return self.aws_batch is None and _age(self.job.created_at) > SUBMISSION_TIMEOUT

    @property
    def attempts(self) -> int:
        """How many have started, as far as is reported."""
        started = self.aws_batch.ended + (self.aws_status == "RUNNING") if self.aws_batch else 0
        return max(started, self.container.attempt if self.container else 0)

    @property
    def updated_at(self) -> str:
        times = [report.at for report in (self.aws_batch, self.container) if report]
        return max([self.job.created_at, *times, *([self.upload.updated_at] if self.upload else [])])


class Rule(NamedTuple):
    """The state of a job to whose reports it applies. reason: a text, or where to read it."""

    state: State
    applies: Callable[[Reports], bool]
    reason: str | Callable[[Reports], str | None] | None = None


def _rejection(reports: Reports) -> str | None:
    upload = reports.upload
    if upload is None:
        return None
    what = "was rejected" if upload.state == "rejected" else f"was not checked to the end, its upload {upload.state}"
    return f"the package {what} ({upload.code}): {upload.reason}"


def _container_reason(reports: Reports) -> str | None:
    return reports.container.reason if reports.container else None


def _aws_reason(reports: Reports) -> str | None:
    return reports.aws_batch.reason if reports.aws_batch else None


# The first rule that applies decides. What is certain comes first: a registered version is no failure, whatever the
# container or AWS Batch report afterwards, and the container knows its failure better than AWS Batch, which knows an
# exit code.
RULES = (
    Rule("succeeded", lambda reports: reports.upload_state == "registered"),
    Rule("failed", lambda reports: reports.upload_state in ("rejected", "failed", "expired"), _rejection),
    Rule("cancelled", lambda reports: reports.cancellation is not None),
    Rule("publishing", lambda reports: reports.upload_state == "checking"),
    Rule("failed", lambda reports: reports.phase == "failed", _container_reason),
    Rule("publishing", lambda reports: reports.phase == "published"),
    Rule("failed", lambda reports: reports.aws_status == "FAILED", _aws_reason),
    Rule(
        "failed",
        lambda reports: reports.aws_status == "SUCCEEDED",
        "the container ended without a package: see its log",
    ),
    Rule("publishing", lambda reports: reports.phase == "publishing"),
    Rule("running", lambda reports: reports.runs),
    Rule("queued", lambda reports: reports.aws_status not in (None, "SUBMITTED"), _aws_reason),
    Rule("failed", lambda reports: reports.unsubmitted, "it never reached the queue: start another job"),
    Rule("submitted", lambda reports: True),
)


def _state(reports: Reports) -> tuple[State, str | None]:
    """The job's state, and the reason for it where there is one."""
    rule = next(rule for rule in RULES if rule.applies(reports))
    return rule.state, rule.reason(reports) if callable(rule.reason) else rule.reason


def status(store: Store, job: Job, after: int = 0) -> dict[str, Any]:
    """views.TrainingJob. metrics: the rows after the first `after`; next: the value of `after` for the next call."""
    reports = _read_reports(store, job)
    rows = read_metrics(store, job.id)
    page = rows[after : after + MAX_ROWS]
    details = {"arguments": job.arguments, "metrics": page, "next": max(after, min(len(rows), after + len(page)))}
    return _summary(reports) | details


def summarize(store: Store, ids: Sequence[str]) -> list[dict[str, Any]]:
    """views.TrainingJobSummary of the jobs with these ids.

    Left out are jobs that have expired since, and those that a later release has stored.
    """
    stored = get_many(store, [keys.training_record(job, "job") for job in ids], missing=MISSING)
    jobs: list[Job] = []
    for job, record in zip(ids, stored, strict=True):
        with _skip_newer():
            jobs += [] if record.body == MISSING else [decode(JOB, record.body, job)]
    summaries = []
    for entry, bodies in zip(jobs, _read_bodies(store, jobs), strict=True):
        with _skip_newer():
            summaries.append(_summary(_decode_reports(entry, bodies)))
    return summaries


@contextmanager
def _skip_newer() -> Iterator[None]:
    try:
        yield
    except TooNew as error:
        logger.warning("not listed", extra={"why": str(error)})


def _read_reports(store: Store, job: Job) -> Reports:
    """Raises TooNew, Unavailable."""
    [bodies] = _read_bodies(store, [job])
    return _decode_reports(job, bodies)


def _read_bodies(store: Store, jobs: Sequence[Job]) -> list[list[bytes]]:
    """The reports of each job as stored, in the order of DECODERS, all read at the same time."""
    names = [
        key
        for job in jobs
        for key in (
            *(keys.training_record(job.id, record) for record in ("batch", "container", "cancel")),
            keys.upload_state(job.model, upload_id(job.id)),
            keys.upload_state(job.model, job.id),  # of containers of release 0.1
        )
    ]
    bodies = [report.body for report in get_many(store, names, missing=MISSING)]
    step = len(DECODERS) + 1
    pages = [bodies[n : n + step] for n in range(0, len(bodies), step)]
    return [[*page[:-2], page[-2] if page[-2] != MISSING else page[-1]] for page in pages]


def _decode_reports(job: Job, bodies: Sequence[bytes]) -> Reports:
    """Raises TooNew, Unavailable."""
    pairs = zip(DECODERS, bodies, strict=True)
    return Reports(job, *(None if body == MISSING else decode(decoder, body, job.id) for decoder, body in pairs))


def _summary(reports: Reports) -> dict[str, Any]:
    job, upload = reports.job, reports.upload
    state, reason = _state(reports)
    summary: dict[str, Any] = {
        "id": job.id,
        "model": job.model,
        "data": job.data,
        "state": state,
        "by": job.by,
        "created_at": job.created_at,
        "updated_at": reports.updated_at,
        "attempts": reports.attempts,
        "status_url": f"/training-jobs/{job.id}",
    }
    if reason:
        summary["reason"] = reason
    if upload:
        summary["upload_id"] = upload.upload_id
        if upload.version is not None:
            summary["version"] = upload.version
    return summary


def read_metrics(store: Store, job: str) -> list[dict[str, Any]]:
    """One row per epoch, as the container wrote it; none before the first."""
    try:
        lines = store.get(keys.training_metrics(job)).body.splitlines()
    except ObjectNotFound:
        return []
    return [msgspec.json.decode(line) for line in lines]


def report_urls(store: Store, job: str, expires: int) -> dict[str, str]:
    """URLs of the files that the container stored beside the package, by name, valid for `expires` seconds."""
    folder = keys.training_reports(job)
    return {
        info.key.removeprefix(folder): store.presign_get(info.key, expires=expires) for info in list_all(store, folder)
    }


def unplaced(store: Store, job: Job) -> AwsBatchReport | None:
    """The latest report of AWS Batch on a job that has waited too long for a machine; None for any other job.

    A report's time is that of the job's last progress: one that is queried again without any is not stored.
    """
    reports = _read_reports(store, job)
    report = reports.aws_batch
    if report is None or report.status not in WAITING or reports.runs or _state(reports)[0] in FINAL:
        return None
    return report if _age(report.at) > WAITING_TIMEOUT else None


def stale_report(store: Store, job: Job) -> AwsBatchReport | None:
    """The latest report of AWS Batch if it needs a refresh: the job is active, and nothing was reported for long."""
    reports = _read_reports(store, job)
    report = reports.aws_batch
    if report is None or report.status in aws_batch.FINAL or _state(reports)[0] in FINAL:
        return None
    ages = [_age(report.at) for report in (reports.aws_batch, reports.container) if report]
    return report if min(ages) > REFRESH_AFTER else None


def _age(at: str) -> float:
    """Seconds since a time as shared.clock.now writes it, or AWS in events."""
    return time.time() - calendar.timegm(time.strptime(at[:19], "%Y-%m-%dT%H:%M:%S"))
