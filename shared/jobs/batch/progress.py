"""How far a job is: read from what is there, never from a counter that somebody would have to keep."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Struct

from shared import keys
from shared.config import MiB
from shared.errors import BadInput
from shared.jobs.batch import job as jobs
from shared.jobs.batch.job import Job
from shared.jobs.batch.plan import planned
from shared.storage.base import Store, list_all

SHOWN = 10  # failures and troubles in the short answer
INLINE = MiB // 2  # a result of one chunk, up to this size, is in the answer itself
CURSOR = re.compile(r"(\d{1,6})(?:\.(\d{1,6}))?", re.ASCII)


class Done(Struct, frozen=True):
    chunk: int
    inputs: int
    failed: int


def done(store: Store, job: str, after: int = -1) -> list[Done]:
    """The chunks that have their output, in order, from the one behind `after` on."""
    folder = f"{keys.batch(job)}done/"
    start = f"{folder}{after:06d}." if after >= 0 else ""  # '.' sorts behind the '-' of every marker
    found = (keys.parse_batch_done(info.key) for info in list_all(store, folder, after=start))
    return [Done(*marker) for marker in found if marker]


def finish(store: Store, job: Job, run: int, error: str | None = None) -> jobs.Ended:
    """Note the end of a run, and what it left undone."""
    plan = planned(store, job.id)
    missing = plan.chunks - len(done(store, job.id)) if plan else None
    return jobs.end(store, job.id, run, missing=missing, error=error if missing != 0 else None)


def status(store: Store, job: Job) -> dict[str, Any]:
    """State, counts and the first failures. States: waiting, planning, running, done, incomplete, failed, cancelled."""
    plan, run, finished = planned(store, job.id), jobs.last_run(store, job.id), done(store, job.id)
    told: dict[str, Any] = {
        "id": job.id,
        "model": job.model,
        "version": job.version,
        "state": _state(plan.chunks if plan else None, len(finished), run),
        "created_at": job.created_at,
        "inputs": plan.inputs if plan else None,
        "done": sum(marker.inputs for marker in finished),
        "failed": sum(marker.failed for marker in finished),
        "chunks": {"all": plan.chunks if plan else None, "done": len(finished)},
        "failures": _failures(store, job.id, finished, 0, SHOWN)[0],
    }
    if run and run.ended and told["state"] in ("incomplete", "failed"):
        told["error"] = _why(store, job.id, run.number, {marker.chunk for marker in finished})
    if plan and plan.chunks == len(finished) == 1:
        told |= _inline(store, job.id)
    return told


def _state(chunks: int | None, finished: int, run: jobs.Run | None) -> str:
    if chunks is not None and finished == chunks:
        return "done"
    if run is None:
        return "waiting"
    if run.cancelled:
        return "cancelled"
    if run.ended:
        return "failed" if chunks is None else "incomplete"
    return "planning" if chunks is None else "running"


def _why(store: Store, job: str, run: int, finished: set[int]) -> str:
    ended = jobs.ended(store, job, run)
    page = store.list_page(f"{keys.batch(job)}trouble/", limit=1000)
    for info in page.objects:
        if int(info.key[-11:-5]) not in finished:
            return str(msgspec.json.decode(store.get(info.key).body).get("error", "see the function's log"))
    return ended.error or "some chunks came to no end, their worker died: the function's log says more; start it again"


def _inline(store: Store, job: str) -> dict[str, Any]:
    key = keys.batch_out(job, 0)
    if store.head(key).size > INLINE:
        return {}
    return {"results": [msgspec.json.decode(line) for line in store.get(key).body.splitlines()]}


def failures(store: Store, job: str, after: str | None, limit: int) -> tuple[list[Any], str | None]:
    """Lines with an error, in the inputs' order, and where the next page starts. Raises BadInput."""
    match = CURSOR.fullmatch("0" if after is None else after)
    if not match:
        raise BadInput("next is what the page before said")
    chunk, skip = int(match[1]), int(match[2] or 0)
    return _failures(store, job, done(store, job, chunk - 1), skip, limit)


def _failures(store: Store, job: str, finished: list[Done], skip: int, limit: int) -> tuple[list[Any], str | None]:
    found: list[Any] = []
    for marker in finished:
        if not marker.failed:
            continue
        if len(found) == limit:
            return found, f"{marker.chunk}.0"
        errors = failed_lines(store.get(keys.batch_out(job, marker.chunk)).body)[skip:]
        taken = errors[: limit - len(found)]
        found += taken
        if len(taken) < len(errors):
            return found, f"{marker.chunk}.{skip + len(taken)}"
        skip = 0
    return found, None


def failed_lines(body: bytes) -> list[Any]:
    lines = (msgspec.json.decode(line) for line in body.splitlines() if b'"error":' in line)
    return [line for line in lines if "error" in line]


def outputs(
    store: Store, job: str, after: int | None, limit: int, expires: int
) -> tuple[list[dict[str, Any]], int | None]:
    """Where the answers are: one URL per chunk, in the inputs' order, and behind which chunk the next page starts."""
    finished = done(store, job, -1 if after is None else after)
    page = [
        {
            "chunk": marker.chunk,
            "inputs": marker.inputs,
            "failed": marker.failed,
            "url": store.presign_get(keys.batch_out(job, marker.chunk), expires=expires),
        }
        for marker in finished[:limit]
    ]
    return page, finished[limit - 1].chunk if len(finished) > limit else None
