"""One chunk: predict each of its inputs, and write the answers once.

Whoever comes second, after a crash or a second delivery, finds the output and does nothing. A chunk that does not fit
into one call of its worker leaves what it has as a part, and the next call goes on from there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import msgspec

from shared import keys
from shared.errors import AmaasError, Unavailable
from shared.jobs.batch import job as jobs
from shared.jobs.batch.job import Job
from shared.jobs.batch.plan import Chunk
from shared.jobs.batch.sources import Input, inputs
from shared.package.manifest import Manifest
from shared.storage.base import AlreadyExists, ObjectNotFound, Store

logger = logging.getLogger(__name__)
Predict = Callable[[bytes, str], dict[str, Any]]
LINES = "application/jsonl"
RESERVE = 30.0  # seconds that are left for the slowest input and for writing
OF_THE_JOB = ("model", "version")  # the same on every line


class NotFinished(Unavailable):
    """The time of one call was not enough; a part is kept, and the next call goes on."""


def work(
    store: Store,
    job: Job,
    run: int,
    chunk: Chunk,
    manifest: Manifest,
    predict: Predict,
    remaining: Callable[[], float],
) -> dict[str, Any]:
    """Bring a chunk to its output. Raises NotFinished, or Unavailable when it has to be tried again."""
    marked = store.list_page(f"{keys.batch(job.id)}done/{chunk.number:06d}-", limit=1).objects
    if marked:
        return {"chunk": chunk.number, "state": "done"}
    if jobs.cancelled(store, job.id, run):
        return {"chunk": chunk.number, "state": "cancelled"}
    body = _written(store, job.id, chunk.number)
    if body is None:
        body = _write(store, job.id, chunk, _lines(store, job, chunk, manifest, predict, remaining))
    lines = body.splitlines()
    failed = sum(b'"error":' in line and "error" in msgspec.json.decode(line) for line in lines)
    store.put(keys.batch_done(job.id, chunk.number, len(lines), failed), b"")
    return {"chunk": chunk.number, "state": "done", "inputs": len(lines), "failed": failed}


def _written(store: Store, job: str, chunk: int) -> bytes | None:
    try:
        return store.get(keys.batch_out(job, chunk)).body
    except ObjectNotFound:
        return None


def _write(store: Store, job: str, chunk: Chunk, lines: list[bytes]) -> bytes:
    if len(lines) != chunk.count:  # the plan and this reader disagree: better no output than one with holes
        raise RuntimeError(f"chunk {chunk.number} has {len(lines)} inputs, the plan says {chunk.count}")
    body = b"".join(line + b"\n" for line in lines)
    key = keys.batch_out(job, chunk.number)
    try:
        store.put(key, body, if_absent=True, content_type=LINES)
    except AlreadyExists:
        return store.get(key).body  # another worker was faster: its answers are the answers
    return body


def _lines(
    store: Store, job: Job, chunk: Chunk, manifest: Manifest, predict: Predict, remaining: Callable[[], float]
) -> list[bytes]:
    lines = _parts(store, job.id, chunk.number)
    kept = len(lines)
    for item in inputs(store, job, chunk, manifest, kept):
        if len(lines) > kept and remaining() < RESERVE:
            _keep(store, job.id, chunk, kept, lines[kept:])
        lines.append(answer(item, predict))
    return lines


def _parts(store: Store, job: str, chunk: int) -> list[bytes]:
    """What earlier calls kept: each part starts where the one before it ends."""
    lines: list[bytes] = []
    while True:
        try:
            lines += store.get(keys.batch_part(job, chunk, len(lines))).body.splitlines()
        except ObjectNotFound:
            return lines


def _keep(store: Store, job: str, chunk: Chunk, first: int, lines: list[bytes]) -> None:
    try:
        body = b"".join(line + b"\n" for line in lines)
        store.put(keys.batch_part(job, chunk.number, first), body, if_absent=True, content_type=LINES)
    except AlreadyExists:
        pass
    raise NotFinished(f"chunk {chunk.number} has {first + len(lines)} of {chunk.count} answers, and goes on")


def answer(item: Input, predict: Predict) -> bytes:
    """One line of the output. What is wrong with one input is said there, and stops no other. Raises Unavailable."""
    line: dict[str, Any] = {"index": item.index, "input": item.name}
    if item.id is not None:
        line["id"] = item.id
    try:
        if item.error:
            raise item.error
        said = predict(item.body, item.content_type)
        line["prediction"] = {name: value for name, value in said.items() if name not in OF_THE_JOB}
    except Unavailable:
        raise
    except AmaasError as error:
        line |= {"error": str(error), "status": error.status}
    except Exception:
        # a bug that one input shows must not keep the others from their answers
        logger.exception("unexpected", extra={"input": item.name})
        line |= {"error": "internal error: the function's log says more", "status": 500}
    return msgspec.json.encode(line)


def trouble(store: Store, job: str, chunk: int, error: BaseException) -> None:
    """Note why a chunk did not get done, for whoever asks."""
    said = str(error) if isinstance(error, AmaasError) else f"internal error ({type(error).__name__})"
    store.put(keys.batch_trouble(job, chunk), msgspec.json.encode({"error": said}), content_type=jobs.JSON)
