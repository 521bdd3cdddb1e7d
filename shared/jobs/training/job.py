"""What is stored of a training job: the request, written once, and the latest report of each party.

AWS Batch (status.py), the container (training/job/run.py) and a user who cancels each have an object of their own, so
that none of them overwrites another's. The state that follows from all of them is in progress.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from shared import formats, keys
from shared.clock import now
from shared.errors import NotFound
from shared.storage.base import AlreadyExists, ObjectNotFound, Store, list_folders

JSON = "application/json"
Phase = Literal["running", "stopped", "publishing", "published", "failed"]


class Job(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="format", tag=1):
    """model: to push the result as. data, arguments: as request.py validates them."""

    id: str
    model: str
    data: str
    by: str
    created_at: str
    arguments: dict[str, Any] = field(default_factory=dict)


class ContainerReport(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="format", tag=1):
    """attempt: of AWS Batch, from 1; 0 before the first. phase `stopped`: by SIGTERM, the next attempt continues."""

    attempt: int
    phase: Phase
    at: str
    reason: str | None = None


class Cancellation(Struct, frozen=True, kw_only=True, tag_field="format", tag=1):
    by: str
    at: str


JOB = msgspec.json.Decoder(Job)
CONTAINER_REPORT = msgspec.json.Decoder(ContainerReport)
CANCELLATION = msgspec.json.Decoder(Cancellation)


def upload_id(job: str) -> str:
    """The id of the upload that a job's package comes by, of a form of its own: the container may write no other."""
    return f"{keys.TRAINING_UPLOAD}{job}"


def of_upload(store: Store, upload: str) -> Job | None:
    """The job whose package an upload brings; None for one that no container can have written.

    Raises NotFound for an id that is of no job, whatever follows the prefix.
    """
    if not keys.is_training_upload(upload):
        return None
    job = upload.removeprefix(keys.TRAINING_UPLOAD)
    if not keys.is_training(job):
        raise NotFound(f"upload {upload!r} is of no training job: GET /training-jobs lists them")
    return read(store, job)


def create(store: Store, job: Job) -> Job:
    """The job as it is stored: an interrupted call is repeated with the id of the first, whose job stays."""
    try:
        store.put(keys.training_record(job.id, "job"), msgspec.json.encode(job), if_absent=True, content_type=JSON)
    except AlreadyExists:
        return read(store, job.id)
    return job


def find(store: Store, job: str) -> Job | None:
    stored: Job | None = read_record(store, job, "job", JOB)
    return stored


def read(store: Store, job: str) -> Job:
    """Raises NotFound."""
    stored = find(store, job)
    if stored is None:
        raise NotFound(f"there is no training job {job!r}: jobs expire after 90 days; GET /training-jobs lists them")
    return stored


def read_record(store: Store, job: str, record: str, decoder: msgspec.json.Decoder[Any]) -> Any:
    """One of a job's objects by its name in keys.training_record; None where it does not exist."""
    try:
        return decode(decoder, store.get(keys.training_record(job, record)).body, job)
    except ObjectNotFound:
        return None


def decode(decoder: msgspec.json.Decoder[Any], body: bytes, job: str) -> Any:
    """One of a job's objects. Raises TooNew, Unavailable."""
    return formats.decode(decoder, body, f"the stored state of training job {job!r}")


def list_ids(store: Store) -> list[str]:
    """Ids of all jobs, newest first."""
    # ids start with the time; another folder is not of ours
    return [folder for folder in reversed(list(list_folders(store, keys.TRAININGS))) if keys.is_training(folder)]


def page(ids: Sequence[str], after: str | None, limit: int) -> tuple[list[str], str | None]:
    """The ids that follow `after`, newest first, and the cursor of the next page. Raises BadInput."""
    if after is not None:
        keys.training(after)
    rest = [job for job in ids if after is None or job < after]
    return rest[:limit], rest[limit - 1] if len(rest) > limit else None


def write_report(store: Store, job: str, attempt: int, phase: Phase, reason: str | None = None) -> ContainerReport:
    """Store the container's latest report. It replaces the one before: one attempt runs at a time."""
    report = ContainerReport(attempt=attempt, phase=phase, at=now(), reason=reason)
    store.put(keys.training_record(job, "container"), msgspec.json.encode(report), content_type=JSON)
    return report


def read_report(store: Store, job: str) -> ContainerReport | None:
    report: ContainerReport | None = read_record(store, job, "container", CONTAINER_REPORT)
    return report


def write_cancellation(store: Store, job: str, by: str) -> None:
    """Store that a job is cancelled. The first cancellation stays."""
    body = msgspec.json.encode(Cancellation(by=by, at=now()))
    try:
        store.put(keys.training_record(job, "cancel"), body, if_absent=True, content_type=JSON)
    except AlreadyExists:
        pass


def read_cancellation(store: Store, job: str) -> Cancellation | None:
    cancellation: Cancellation | None = read_record(store, job, "cancel", CANCELLATION)
    return cancellation
