"""What a batch request may say, what is promised for it, and who may have it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import Meta, Struct, field

from shared import keys
from shared.access import scopes
from shared.clock import new_id, now
from shared.config import Config, MiB
from shared.errors import BadInput, Conflict, Forbidden
from shared.jobs.batch import job as jobs
from shared.jobs.batch.job import Job, Kind
from shared.registry.log import Log
from shared.storage.base import Store, list_all
from shared.uploads.destinations import destination

MOST_FILES = 500  # per call; their URLs alone make 500 kB
MAX_FILE = 5 * 1024 * MiB
SHA256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


class InputFile(Struct, frozen=True):
    name: str
    size: Annotated[int, Meta(ge=1, le=MAX_FILE)] | None = None
    sha256: SHA256 | None = None


Files = Annotated[list[InputFile], Meta(max_length=MOST_FILES)]


class BatchRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /models/{m}/batch. files: to send; prefix: inputs that are there already, else of the files.

    kind: how to read files whose name does not tell (jsonl, csv, parquet, files). options: of the task, as predict
    takes them in its query. chunk: inputs that one worker call does at most.
    """

    version: int | str | None = None
    files: Files = field(default_factory=list)
    prefix: str | None = None
    kind: Kind | None = None
    options: dict[str, str] = field(default_factory=dict)
    chunk: Annotated[int, Meta(ge=1, le=10_000)] | None = None


class MoreFiles(Struct, frozen=True, forbid_unknown_fields=True):
    files: Annotated[list[InputFile], Meta(min_length=1, max_length=MOST_FILES)]


class StartRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """files: how many have to be there; fewer is a Conflict. wait: seconds to wait for the end, at most."""

    files: Annotated[int, Meta(ge=1)] | None = None
    wait: Annotated[int, Meta(ge=0, le=20)] = 0


def create(log: Log, model: str, request: BatchRequest, by: str, granted: Sequence[str], key: str = "") -> Job:
    """A job, pinned to the version that answers now. Raises BadInput, NotFound, Forbidden before anything is written.

    key: who asks, where the alias is split.
    """
    if request.files and request.prefix:
        raise BadInput("give either files, to send them, or the prefix of inputs that are there")
    head = log.read(keys.model_name(model))
    reference = None if request.version is None else str(request.version)
    identity = new_id()
    version = head.number(reference, key or identity)
    prefix = f"{keys.batch(identity)}in/"
    for file in request.files:
        keys.batch_input(identity, file.name)
    if request.prefix is not None:
        prefix = _allowed(log.store, request.prefix, by, granted)
    return jobs.create(
        log.store,
        Job(
            id=identity,
            model=model,
            version=version,
            by=by,
            created_at=now(),
            prefix=prefix,
            kind=request.kind,
            chunk=request.chunk,
            options=request.options,
        ),
    )


def _allowed(store: Store, prefix: str, by: str, granted: Sequence[str]) -> str:
    """A prefix of inputs that this caller may use: of a job of its own, or a data set that an operator put there."""
    owner, folder = keys.batch_prefix(prefix)
    if jobs.exists(store, owner):
        require_owner(jobs.read(store, owner), by, granted)
    return folder


def require_owner(job: Job, by: str, granted: Sequence[str]) -> None:
    """Inputs and answers are for who made the job, as long as they may call its model, and for administrators."""
    scopes.require(granted, "infer", job.model)
    if job.by != by and not scopes.allows(granted, "admin", job.model):
        raise Forbidden(f"batch job {job.id!r} is another token's: use the one that made it, or an administrator's")


def destinations(store: Store, config: Config, job: Job, files: Sequence[InputFile]) -> list[dict[str, Any]]:
    """Where to send files, as for uploads of packages. Raises BadInput, Conflict once the job has begun."""
    if len({file.name for file in files}) != len(files):
        raise BadInput("two files have the same name")
    if files and jobs.last_run(store, job.id):
        raise Conflict(f"batch job {job.id!r} has begun: send the other files to a new one")
    return [
        destination(
            store,
            keys.batch_input(job.id, file.name),
            file.name,
            size=file.size,
            sha256=file.sha256,
            expires=config.upload_ttl,
        )
        for file in files
    ]


def require_inputs(store: Store, job: Job, files: int | None) -> None:
    """Raises Conflict when the inputs, or as many files as the caller has sent, are not there."""
    if files is None:
        there = len(store.list_page(job.prefix, limit=1).objects)
    else:
        there = sum(1 for _ in list_all(store, job.prefix))
    if there < (files or 1):
        raise Conflict(
            f"beneath {job.prefix} there are {there} files of {files or 'at least 1'}: send them first, "
            "each to its own URL"
        )
