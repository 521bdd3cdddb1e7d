"""Deleting a batch job at once, with all versions: its inputs, outputs and records. What stays is a line in the log."""

from __future__ import annotations

import logging
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import asdict

from shared import batch_keys
from shared.clock import now
from shared.errors import Conflict
from shared.jobs.batch import progress
from shared.jobs.batch.job import Job
from shared.storage.base import Purged, Store

logger = logging.getLogger(__name__)


class Deletion(Struct, frozen=True, kw_only=True):
    """The receipt: how many objects, versions of these and bytes. kept: versions that Object Lock holds, hidden."""

    job: str
    model: str
    by: str
    at: str
    objects: int
    versions: int
    bytes: int
    kept: int = 0


def delete(store: Store, job: Job, by: str, prepare: Callable[[Deletion], None] = lambda receipt: None) -> Deletion:
    """Delete what lies under the job's id; inputs under another prefix are an operator's.

    Raises Conflict while it runs. What a worker writes that was at work when its job was cancelled expires.
    A call that was interrupted can be repeated: job.json, by which the job is found, is removed with the last. prepare:
    is given a receipt for the rest just before.
    """
    if progress.is_active(store, job):
        raise Conflict(f"batch job {job.id!r} is running: cancel it, or wait for its end, and delete it then")
    folder = batch_keys.batch(job.id)
    parts = store.list_page(folder, delimiter="/").prefixes
    purged = sum((store.purge(prefix) for prefix in parts), Purged())
    prepare(_receipt(job, by, purged))
    purged += store.purge(folder)
    logger.info("deleted", extra={"what": "batch job", "job": job.id, "model": job.model, "by": by, **asdict(purged)})
    return _receipt(job, by, purged)


def _receipt(job: Job, by: str, purged: Purged) -> Deletion:
    return Deletion(job=job.id, model=job.model, by=by, at=now(), **asdict(purged))
