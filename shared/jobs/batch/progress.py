"""How far a job is: read from the objects that exist, never from a counter that would have to be maintained."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Struct

from shared import batch_keys
from shared.config import MiB
from shared.errors import BadInput
from shared.jobs.batch import job as jobs
from shared.jobs.batch import plan
from shared.jobs.batch.job import Job
from shared.storage.base import Store, list_all

ACTIVE = ("planning", "running")
STATUS_FAILURES = 10  # failures in the status
INLINE_RESULT = MiB // 2  # the output of a single chunk, up to this size, is in the status itself
CURSOR = re.compile(r"(\d{1,6})(?:\.(\d{1,6}))?", re.ASCII)


class FinishedChunk(Struct, frozen=True):
    """What the key of a marker says, so that one listing of markers is the progress of a job."""

    chunk: int
    inputs: int
    failed: int


class Evidence(Struct, frozen=True):
    """What there is of a job. end: of the last run, where it is over and left something undone."""

    plan: plan.PlanSummary | None
    run: jobs.Run | None
    end: jobs.RunEnd | None
    finished: list[FinishedChunk]

    @property
    def chunks(self) -> int | None:
        return self.plan.chunks if self.plan else None


def list_finished(store: Store, job: str, after: int = -1) -> list[FinishedChunk]:
    """The chunks that have their output, in order, from the one after number `after` on."""
    folder = f"{batch_keys.batch(job)}done/"
    start = f"{folder}{after:06d}." if after >= 0 else ""  # '.' sorts after the '-' of every marker of this number
    markers = (batch_keys.parse_batch_done(info.key) for info in list_all(store, folder, after=start))
    return [FinishedChunk(*marker) for marker in markers if marker]


def finish_run(store: Store, job: Job, run: int, error: str | None = None) -> jobs.RunEnd:
    """Store the end of a run, with the number of chunks that have no output."""
    summary = plan.read_summary(store, job.id)
    missing = summary.chunks - len(list_finished(store, job.id)) if summary else None
    # where every chunk has its output, an error of the state machine concerns no user
    return jobs.end_run(store, job.id, run, missing=missing, error=error if missing != 0 else None)


def status(store: Store, job: Job) -> dict[str, Any]:
    """State, counts and the first failures. States: waiting, planning, running, done, incomplete, failed, cancelled."""
    evidence = _read(store, job.id)
    answer = _summary(job, evidence)
    answer["failures"] = _failures(store, job.id, evidence.finished, 0, STATUS_FAILURES)[0]
    if evidence.end and answer["state"] in ("incomplete", "failed"):
        answer["error"] = _error(store, job.id, evidence.end, {chunk.chunk for chunk in evidence.finished})
    if answer["chunks"]["all"] == len(evidence.finished) == 1:
        answer |= _inline_results(store, job.id)
    return answer


def summarize(store: Store, job: Job) -> dict[str, Any]:
    """State and counts of a job, as in a list: at most two listings and three reads."""
    return _summary(job, _read(store, job.id)) | {"by": job.by}


def _summary(job: Job, evidence: Evidence) -> dict[str, Any]:
    return {
        "id": job.id,
        "model": job.model,
        "version": job.version,
        "state": _state(evidence),
        "created_at": job.created_at,
        "inputs": evidence.plan.inputs if evidence.plan else None,
        "done": sum(chunk.inputs for chunk in evidence.finished),
        "failed": sum(chunk.failed for chunk in evidence.finished),
        "chunks": {"all": evidence.chunks, "done": len(evidence.finished)},
    }


def is_active(store: Store, job: Job) -> bool:
    """Whether a run is going on: by two listings and two reads, where a status reads the failures' outputs too."""
    return _state(_read(store, job.id)) in ACTIVE


def _read(store: Store, job: str) -> Evidence:
    summary, run, finished = plan.read_summary(store, job), jobs.last_run(store, job), list_finished(store, job)
    ended = run is not None and run.ended and not (summary and summary.chunks == len(finished))
    end = jobs.read_run_end(store, job, run.number) if run and ended else None
    return Evidence(summary, run, end, finished)


def _state(evidence: Evidence) -> str:
    chunks, run = evidence.chunks, evidence.run
    if len(evidence.finished) == chunks:
        return "done"  # before all else: the outputs are there, however the run ended
    if run is None:
        return "waiting"
    if run.cancelled:
        return "cancelled"
    if evidence.end:
        return "failed" if chunks is None or evidence.end.died else "incomplete"
    return "planning" if chunks is None else "running"


def _error(store: Store, job: str, end: jobs.RunEnd, finished: set[int]) -> str:
    """Why a job stopped: its death; else the first error of a chunk that has no output; else the error of the run."""
    if end.died and end.error:
        return end.error
    page = store.list_page(batch_keys.batch_errors(job), limit=1000)
    for info in page.objects:
        if int(info.key[-11:-5]) not in finished:  # the chunk's number, before ".json"
            return str(
                msgspec.json.decode(store.get(info.key).body).get("error", "see the log of the function batchwork")
            )
    return (
        end.error or "the worker of some chunks died: see the log of the function batchwork, then start the job again"
    )


def _inline_results(store: Store, job: str) -> dict[str, Any]:
    key = batch_keys.batch_output(job, 0)
    if store.head(key).size > INLINE_RESULT:
        return {}
    return {"results": [msgspec.json.decode(line) for line in store.get(key).body.splitlines()]}


def list_failures(store: Store, job: str, after: str | None, limit: int) -> tuple[list[Any], str | None]:
    """Output lines with an error, in the order of the inputs, and the cursor of the next page. Raises BadInput."""
    match = CURSOR.fullmatch("0" if after is None else after)
    if not match:
        raise BadInput(f"{after!r} is not a cursor: use `next` of the previous page")
    chunk, skip = int(match[1]), int(match[2] or 0)
    return _failures(store, job, list_finished(store, job, chunk - 1), skip, limit)


def _failures(
    store: Store, job: str, finished: list[FinishedChunk], skip: int, limit: int
) -> tuple[list[Any], str | None]:
    """skip: failures of the first chunk that earlier pages had. A cursor is CHUNK.SKIP."""
    failures: list[Any] = []
    for chunk in finished:
        if not chunk.failed:
            continue
        if len(failures) == limit:
            return failures, f"{chunk.chunk}.0"
        rest = _failed_lines(store.get(batch_keys.batch_output(job, chunk.chunk)).body)[skip:]
        page = rest[: limit - len(failures)]
        failures += page
        if len(page) < len(rest):
            return failures, f"{chunk.chunk}.{skip + len(page)}"
        skip = 0
    return failures, None


def _failed_lines(body: bytes) -> list[Any]:
    # most lines have no error: a search for the bytes spares decoding them; an answer may have the bytes elsewhere
    lines = (msgspec.json.decode(line) for line in body.splitlines() if b'"error":' in line)
    return [line for line in lines if "error" in line]


def list_outputs(
    store: Store, job: str, after: int | None, limit: int, expires: int
) -> tuple[list[dict[str, Any]], int | None]:
    """One URL of answers per chunk, in the order of the inputs, and the chunk after which the next page starts."""
    finished = list_finished(store, job, -1 if after is None else after)
    page = [
        {
            "chunk": chunk.chunk,
            "inputs": chunk.inputs,
            "failed": chunk.failed,
            "url": store.presign_get(batch_keys.batch_output(job, chunk.chunk), expires=expires),
        }
        for chunk in finished[:limit]
    ]
    return page, finished[limit - 1].chunk if len(finished) > limit else None
