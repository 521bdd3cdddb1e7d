"""The list of batch jobs: newest first, those that a caller may use."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

from shared import batch_keys
from shared.access import scopes
from shared.errors import AmaasError
from shared.jobs.batch import job as jobs
from shared.jobs.batch.job import Job
from shared.storage.base import Store, get_many, list_folders

logger = logging.getLogger(__name__)
BLOCK = 50  # jobs that are read at the same time
MAX_READ = 500  # jobs of others that one page passes over, at most
MISSING = b"null"


def page(
    store: Store, allowed: Callable[[Job], bool], model: str | None, after: str | None, limit: int
) -> tuple[list[Job], str | None]:
    """At most `limit` jobs that follow `after`, newest first, and the cursor of the next page.

    allowed: whether the caller may see a job. A page may be short, or empty, and have a next one: it reads no more than
    MAX_READ jobs of others. Jobs that a later release has stored are left out.
    """
    ids = [name for name in reversed(_names(store)) if after is None or name < after]
    jobs_of_page: list[Job] = []
    for start in range(0, min(len(ids), MAX_READ), BLOCK):
        block = ids[start : start + BLOCK]
        for name, job in zip(block, _read(store, block), strict=True):
            if job is None or (model is not None and job.model != model) or not allowed(job):
                continue
            jobs_of_page.append(job)
            if len(jobs_of_page) == limit:
                return jobs_of_page, name if name != ids[-1] else None
    return jobs_of_page, ids[MAX_READ - 1] if len(ids) > MAX_READ else None


def may_use(caller: str, granted: Sequence[str]) -> Callable[[Job], bool]:
    """As requests.require_owner decides."""
    return lambda job: (
        scopes.allows(granted, "infer", job.model) and (job.by == caller or scopes.allows(granted, "admin", job.model))
    )


def _names(store: Store) -> list[str]:
    """Of all jobs, oldest first, as ids begin with their time; and of prefixes that an operator filled."""
    return [name for name in list_folders(store, batch_keys.BATCHES) if batch_keys.is_batch(name)]


def _read(store: Store, names: Sequence[str]) -> Iterator[Job | None]:
    stored = get_many(store, [batch_keys.batch_job(name) for name in names], missing=MISSING)
    for name, record in zip(names, stored, strict=True):
        yield None if record.body == MISSING else _decode(name, record.body)


def _decode(name: str, body: bytes) -> Job | None:
    try:
        return jobs.decode(body, name)
    except AmaasError as error:
        logger.warning("not listed", extra={"job": name, "why": str(error)})
        return None
