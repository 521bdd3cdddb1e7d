"""What a training job is: the request, written once, and what three parties said of it last.

AWS Batch (by events.py), the container (training/job/run.py) and a user who cancels each have a record of their own, so
that nobody overwrites another. What all of it amounts to is in progress.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from shared import formats, keys
from shared.clock import now
from shared.errors import NotFound
from shared.storage.base import AlreadyExists, ObjectNotFound, Store

JSON = "application/json"
Phase = Literal["running", "stopped", "publishing", "published", "failed"]


class Job(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="format", tag=1):
    """id: also of the result's upload. model: what it is pushed as. data, arguments: as request.py allows them."""

    id: str
    model: str
    data: str
    by: str
    created_at: str
    arguments: dict[str, Any] = field(default_factory=dict)


class Said(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="format", tag=1):
    """The container's last word. attempt: of AWS Batch, from 1. stopped: by SIGTERM, to be continued."""

    attempt: int
    phase: Phase
    at: str
    reason: str | None = None


class Cancelled(Struct, frozen=True, kw_only=True, tag_field="format", tag=1):
    by: str
    at: str


JOB = msgspec.json.Decoder(Job)
SAID = msgspec.json.Decoder(Said)
CANCELLED = msgspec.json.Decoder(Cancelled)


def create(store: Store, job: Job) -> Job:
    store.put(keys.training_record(job.id, "job"), msgspec.json.encode(job), if_absent=True, content_type=JSON)
    return job


def read(store: Store, job: str) -> Job:
    """Raises NotFound."""
    found: Job | None = record(store, job, "job", JOB)
    if found is None:
        raise NotFound(f"there is no training job {job!r}: jobs expire after 90 days; GET /training-jobs lists them")
    return found


def record(store: Store, job: str, what: str, of: msgspec.json.Decoder) -> Any:
    """One of a job's records; None where it is not there."""
    try:
        return decode(of, store.get(keys.training_record(job, what)).body, job)
    except ObjectNotFound:
        return None


def decode(of: msgspec.json.Decoder, body: bytes, job: str) -> Any:
    """One of a job's records. Raises TooNew, Unavailable."""
    return formats.decode(of, body, f"what is stored of training job {job!r}")


def ids(store: Store) -> list[str]:
    """Of all jobs, newest first."""
    found: list[str] = []
    token = None
    while True:
        page = store.list_page(keys.TRAININGS, delimiter="/", token=token)
        found += (prefix.split("/")[1] for prefix in page.prefixes)
        if not page.next:
            return [job for job in reversed(found) if keys.is_training(job)]
        token = page.next


def some(known: Sequence[str], after: str | None, limit: int) -> tuple[list[str], str | None]:
    """A page of ids, from the one behind `after` on, and where the next page starts. Raises BadInput."""
    if after is not None:
        keys.training(after)
    rest = [job for job in known if after is None or job < after]
    return rest[:limit], rest[limit - 1] if len(rest) > limit else None


def say(store: Store, job: str, attempt: int, phase: Phase, reason: str | None = None) -> Said:
    """The container's word; a later attempt's replaces an earlier one's."""
    said = Said(attempt=attempt, phase=phase, at=now(), reason=reason)
    store.put(keys.training_record(job, "container"), msgspec.json.encode(said), content_type=JSON)
    return said


def said(store: Store, job: str) -> Said | None:
    found: Said | None = record(store, job, "container", SAID)
    return found


def cancel(store: Store, job: str, by: str) -> None:
    """Note that a job is not wanted any more. The first who says so stays noted."""
    word = msgspec.json.encode(Cancelled(by=by, at=now()))
    try:
        store.put(keys.training_record(job, "cancel"), word, if_absent=True, content_type=JSON)
    except AlreadyExists:
        pass


def cancelled(store: Store, job: str) -> Cancelled | None:
    found: Cancelled | None = record(store, job, "cancel", CANCELLED)
    return found
