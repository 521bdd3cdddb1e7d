"""One chunk of a batch job, called by the state machine: its inputs through the model, its answers into the bucket."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

import msgspec

from shared.entry.wiring import config, log, store
from shared.jobs.batch import job as jobs
from shared.jobs.batch.plan import Chunk
from shared.jobs.batch.work import NotFinished, trouble, work
from shared.serving import tasks
from shared.serving.layer import Layer
from shared.serving.models import Models

logger = logging.getLogger(__name__)


@cache
def models() -> Models:
    settings = config()
    return Models(log(), layer=Layer(settings.models_dir), ttl=settings.alias_ttl, capacity=settings.cache_bytes)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """An exception has the state machine call again, for this chunk only."""
    job, chunk = jobs.read(store(), event["job"]), msgspec.convert(event["chunk"], Chunk)
    try:
        told = _work(job, int(event["run"]), chunk, context)
    except NotFinished:
        raise
    except Exception as error:
        trouble(store(), job.id, chunk.number, error)
        raise
    logger.info("chunk", extra={"job": job.id, **told})
    return told


def _work(job: jobs.Job, run: int, chunk: Chunk, context: Any) -> dict[str, Any]:
    loaded = models().load(job.model, str(job.version))

    def predict(body: bytes, content_type: str) -> dict[str, Any]:
        return tasks.predict(loaded, body, content_type, job.options)

    return work(
        store(), job, run, chunk, loaded.manifest, predict, lambda: context.get_remaining_time_in_millis() / 1000
    )
