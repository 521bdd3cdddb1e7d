"""Deleting the data of a training job at once, with all versions: checkpoints, metrics, reports. Its record stays."""

from __future__ import annotations

import logging

import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from shared import keys
from shared.clock import now
from shared.errors import Conflict
from shared.jobs.training import progress
from shared.jobs.training.job import JSON, Job, read_record
from shared.storage.base import Purged, Store

logger = logging.getLogger(__name__)


class Deletion(Struct, frozen=True, kw_only=True, tag_field="format", tag=1):
    """The receipt: how many objects, versions of these and bytes. kept: versions that Object Lock holds, hidden."""

    job: str
    model: str
    by: str
    at: str
    objects: int
    versions: int
    bytes: int
    kept: int = 0


DELETION = msgspec.json.Decoder(Deletion)


def delete_data(store: Store, job: Job, by: str) -> Deletion:
    """Delete what an ended job has written; its package is an upload. Raises Conflict for an active job.

    The stored receipt of an earlier deletion stays where nothing was left to delete.
    """
    state = progress.status(store, job)["state"]
    if state not in progress.FINAL:
        raise Conflict(f"training job {job.id!r} is {state}: cancel it, or wait for its end, and delete its data then")
    prefixes = (keys.training_checkpoints(job.id), keys.training_reports(job.id), keys.training_metrics(job.id))
    purged = sum((store.purge(prefix) for prefix in prefixes), Purged())
    counts = asdict(purged)
    receipt = Deletion(job=job.id, model=job.model, by=by, at=now(), **counts)
    if purged != Purged() or read_record(store, job.id, "deletion", DELETION) is None:
        store.put(keys.training_record(job.id, "deletion"), msgspec.json.encode(receipt), content_type=JSON)
    logger.info("deleted", extra={"what": "training data", "job": job.id, "model": job.model, "by": by, **counts})
    return receipt
