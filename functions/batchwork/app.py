"""One chunk of a batch job, called by the state machine: predicts its inputs, writes the answers into the bucket."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

import msgspec

from shared import deadline
from shared.entry.wiring import config, log, store
from shared.jobs.batch import job as jobs
from shared.jobs.batch import plan
from shared.jobs.batch.plan import Chunk
from shared.jobs.batch.work import NotFinished, process, record_error
from shared.serving import tasks
from shared.serving.layer import Layer
from shared.serving.models import Models
from shared.serving.wall import Wall

logger = logging.getLogger(__name__)


@cache
def models() -> Models:
    settings = config()
    wall = Wall.of(settings)
    layer = Layer(settings.models_dir, wall=wall)
    return Models(log(), layer=layer, ttl=settings.alias_ttl, capacity=settings.cache_bytes, wall=wall)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """After an exception, the state machine calls again for this chunk only."""
    token = deadline.begin(context)
    try:
        return _handle(event, context)
    finally:
        deadline.end(token)


def _handle(event: dict[str, Any], context: Any) -> dict[str, Any]:
    job = jobs.read(store(), event["job"])
    chunk = plan.chunk(msgspec.json.encode(event["chunk"]), job.id)
    try:
        result = _process(job, int(event["run"]), chunk, context)
    except NotFinished:
        raise
    except Exception as error:
        record_error(store(), job.id, chunk.number, error)
        raise
    logger.info("chunk", extra={"job": job.id, **result})
    return result


def _process(job: jobs.Job, run: int, chunk: Chunk, context: Any) -> dict[str, Any]:
    loaded = models().load(job.model, str(job.version))

    def predict(body: bytes, content_type: str) -> dict[str, Any]:
        return tasks.predict(loaded, body, content_type, job.options)

    return process(
        store(), job, run, chunk, loaded.manifest, predict, lambda: context.get_remaining_time_in_millis() / 1000
    )
