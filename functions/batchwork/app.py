"""One chunk of a batch job, called by the state machine: predicts its inputs, writes the answers into the bucket."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from functools import cache, partial
from typing import Any

import msgspec
from msgspec.structs import replace

from shared import budget, deadline
from shared.entry.wiring import config, log, store
from shared.errors import AmaasError
from shared.jobs.batch import job as jobs
from shared.jobs.batch import plan
from shared.jobs.batch.plan import Chunk
from shared.jobs.batch.work import ChunkFailed, Early, NotFinished, process, record_error
from shared.serving import answer_ids, tasks
from shared.serving.counter import Counter, counted
from shared.serving.layer import Layer
from shared.serving.loaded import Loaded
from shared.serving.models import Models
from shared.serving.observe import Call
from shared.serving.tasks.base import Together
from shared.serving.wall import Wall

logger = logging.getLogger(__name__)
WRITING = 10.0  # seconds of the call that no input may take: its answers have to be stored
FOR_EVER = 1e9


@cache
def models() -> Models:
    settings = config()
    budget.allow(settings.call_memory)
    wall = Wall.of(settings)
    layer = Layer(settings.models_dir, wall=wall)
    return Models(log(), layer=layer, ttl=settings.alias_ttl, capacity=settings.cache_bytes, wall=wall, generates=None)


# as in the inference function, calls are counted where they are a deployment's
COUNTS = "AWS_LAMBDA_FUNCTION_NAME" in os.environ


@cache
def counter() -> Counter:
    return Counter(store, afterwards=True, memory_mb=lambda: config().memory_mb)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """After an exception, or the death of this process, the state machine calls again for this chunk only."""
    token = deadline.begin(context)
    try:
        return _handle(event, context)
    finally:
        deadline.end(token)


def _handle(event: dict[str, Any], context: Any) -> dict[str, Any]:
    try:
        result = _process(event, context)
    except NotFinished:
        raise
    except Exception as error:
        logger.exception("chunk failed", extra={"job": event.get("job")})
        raise ChunkFailed(f"{type(error).__name__}: {error}") from error
    logger.info("chunk", extra={"job": event["job"], **result})
    return result


def _process(event: dict[str, Any], context: Any) -> dict[str, Any]:
    job = jobs.read(store(), event["job"])
    chunk = plan.chunk(msgspec.json.encode(event["chunk"]), job.id)
    try:
        return _predict(job, int(event["run"]), chunk, context)
    except NotFinished:
        raise
    except Exception as error:
        with suppress(AmaasError):  # the store may be what is away
            record_error(store(), job.id, chunk.number, error)
        raise


def _predict(job: jobs.Job, run: int, chunk: Chunk, context: Any) -> dict[str, Any]:
    loaded = models().load(job.model, str(job.version))

    def predict(body: bytes, content_type: str) -> dict[str, Any]:
        def compute(seen: Loaded) -> dict[str, Any]:
            return tasks.predict(seen, body, content_type, job.options)

        with _in_time():
            if COUNTS:
                answer = counted(counter(), loaded, body, compute)
            else:
                answer = compute(loaded)
        return _with_id(loaded, answer)

    def together(requests: Sequence[tuple[bytes, str]]) -> list[Early | None]:
        with _in_time():
            asked = [(body, content_type, job.options) for body, content_type in requests]
            answers = tasks.predict_together(loaded, asked)
        return [
            None if answer is None else Early(partial(_taken, loaded, body, answer), answer.cut)
            for (body, _), answer in zip(requests, answers, strict=True)
        ]

    def remaining() -> float:
        return float(context.get_remaining_time_in_millis() / 1000)

    try:
        ahead = together if tasks.of(loaded.manifest).together else None
        return process(store(), job, run, chunk, loaded.manifest, predict, remaining, ahead)
    finally:
        if COUNTS:
            _write_counts()


def _in_time() -> AbstractContextManager[None]:
    """Within what an input may take of the call."""
    left = deadline.remaining()
    return deadline.within(FOR_EVER if left is None else left - WRITING)


def _taken(loaded: Loaded, body: bytes, answer: Together) -> dict[str, Any]:
    """The answer of one input among others, counted as a call of the version."""
    if COUNTS:
        seen = replace(loaded, items=[], resolve_ns=0, load_ns=0, fresh=False)
        counter().observe(
            Call(loaded=seen, route="batch", input_ns=0, infer_ns=answer.ns, bytes_in=len(body), answer=answer.answer)
        )
    return _with_id(loaded, answer.answer)


def _with_id(loaded: Loaded, answer: dict[str, Any]) -> dict[str, Any]:
    answer_id = answer_ids.of_answer(loaded, answer)
    return answer if answer_id is None else answer | {"answer_id": answer_id}


def _write_counts() -> None:
    try:
        counter().finish()
    except AmaasError as error:  # what is not written now is written by the next chunk
        logger.warning("counts not written", extra={"why": str(error)})
