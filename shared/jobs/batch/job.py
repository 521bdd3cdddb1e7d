"""What is stored of a batch job: the request, written once with the version it is pinned to, and its runs.

A run is one start of the state machine. Runs may be repeated: outputs are written once, so a later run does what the
earlier ones left undone. Nothing here is ever overwritten.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct, field

from shared import batch_keys, formats
from shared.clock import now
from shared.errors import Conflict, NotFound
from shared.package.table import Csv
from shared.storage.base import AlreadyExists, ObjectNotFound, Store, list_all

JSON = "application/json"
InputKind = Literal["jsonl", "csv", "parquet", "files"]


class Job(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="format", tag=1):
    """version: the number that answers every input, wherever aliases move meanwhile. prefix: of the inputs' keys.

    kind: how to read files whose name does not say it. chunk: inputs per chunk at most. options: of the model's task,
    and `delimiter` and `decimal` of CSV files, where they are not as the package says: csv.
    """

    id: str
    model: str
    version: int
    by: str
    created_at: str
    prefix: str
    kind: InputKind | None = None
    chunk: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    options: dict[str, str] = field(default_factory=dict)
    csv: Csv | None = None


class Run(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="format", tag=1):
    number: int
    started_at: str
    by: str
    cancelled: bool = False
    ended: bool = False


class RunEnd(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="format", tag=1):
    """missing: chunks without an output; None where there was no plan. error: why the run did not finish.

    died: its execution was over without having said so.
    """

    at: str
    missing: int | None = None
    error: str | None = None
    died: bool = False


JOB = msgspec.json.Decoder(Job)
RUN = msgspec.json.Decoder(Run)
RUN_END = msgspec.json.Decoder(RunEnd)


def create(store: Store, job: Job) -> Job:
    """The job as it is stored: an interrupted call is repeated with the id of the first, whose job stays."""
    try:
        store.put(batch_keys.batch_job(job.id), msgspec.json.encode(job), if_absent=True, content_type=JSON)
    except AlreadyExists:
        return read(store, job.id)
    return job


def read(store: Store, job: str) -> Job:
    """Raises NotFound."""
    try:
        return decode(store.get(batch_keys.batch_job(job)).body, job)
    except ObjectNotFound:
        raise NotFound(f"there is no batch job {job!r}: jobs expire after 30 days") from None


def exists(store: Store, job: str) -> bool:
    try:
        store.head(batch_keys.batch_job(job))
    except ObjectNotFound:
        return False
    return True


def decode(body: bytes, job: str) -> Job:
    """The request of a job as stored. Raises TooNew, Unavailable."""
    return formats.decode(JOB, body, f"batch job {job!r}")


def last_run(store: Store, job: str) -> Run | None:
    """The newest run of a job, with whether it was cancelled and has ended. One listing, and one read."""
    # names are 000001.start.json, 000001.cancel.json, 000001.end.json
    names = [info.key.rpartition("/")[2].split(".") for info in list_all(store, f"{batch_keys.batch(job)}runs/")]
    started = [int(name[0]) for name in names if name[1] == "start"]
    if not started:
        return None
    number = max(started)
    body = store.get(batch_keys.batch_run(job, number, "start")).body
    run = formats.decode(RUN, body, f"run {number} of batch job {job!r}")
    events = {name[1] for name in names if int(name[0]) == number}
    return msgspec.structs.replace(run, cancelled="cancel" in events, ended="end" in events)


def begin_run(store: Store, job: str, number: int, by: str) -> Run:
    """Raises Conflict when another caller began this run."""
    run = Run(number=number, started_at=now(), by=by)
    try:
        store.put(
            batch_keys.batch_run(job, number, "start"), msgspec.json.encode(run), if_absent=True, content_type=JSON
        )
    except AlreadyExists as error:
        raise Conflict(f"batch job {job!r} was started by another caller at the same time: GET /batch/{job}") from error
    return run


def cancel_run(store: Store, job: str, number: int) -> None:
    store.put(batch_keys.batch_run(job, number, "cancel"), b'{"format":1}', content_type=JSON)


def is_cancelled(store: Store, job: str, number: int) -> bool:
    try:
        store.head(batch_keys.batch_run(job, number, "cancel"))
    except ObjectNotFound:
        return False
    return True


def end_run(
    store: Store, job: str, number: int, *, missing: int | None = None, error: str | None = None, died: bool = False
) -> RunEnd:
    """Store how a run ended. If that is stored already, returns the stored end unchanged."""
    end = RunEnd(at=now(), missing=missing, error=error, died=died)
    try:
        store.put(batch_keys.batch_run(job, number, "end"), msgspec.json.encode(end), if_absent=True, content_type=JSON)
    except AlreadyExists:
        return read_run_end(store, job, number)
    return end


def read_run_end(store: Store, job: str, number: int) -> RunEnd:
    """Raises ObjectNotFound for a run that has not ended."""
    body = store.get(batch_keys.batch_run(job, number, "end")).body
    return formats.decode(RUN_END, body, f"the end of run {number} of batch job {job!r}")
