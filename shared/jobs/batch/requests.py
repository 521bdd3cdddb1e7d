"""Bodies of batch requests, the jobs and destinations made for them, and who may use a job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import Meta, Struct, field

from shared import batch_keys, keys
from shared.access import scopes
from shared.access.callers import Caller
from shared.clock import new_id, now
from shared.config import Config, MiB
from shared.errors import BadInput, Conflict, Forbidden, TooLarge
from shared.jobs.batch import job as jobs
from shared.jobs.batch.job import InputKind, Job
from shared.package.table import Csv, Table
from shared.package.tasks import TASKS
from shared.registry import models
from shared.registry.log import Log
from shared.registry.state import Version
from shared.storage.base import Store, list_all
from shared.uploads.destinations import destination
from shared.values import csvfile

MAX_FILES = 500  # per call: the answer holds a URL for each, about 1 kB
MAX_FILE = 5 * 1024 * MiB
MAX_TOTAL = 50 * 1024 * MiB  # of a call
SHA256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


class InputFile(Struct, frozen=True):
    """size: in bytes, which its URL is signed for: nothing else can be sent to it. An empty file is an input, too."""

    name: str
    size: Annotated[int, Meta(ge=0, le=MAX_FILE)]
    sha256: SHA256 | None = None


# the request is stored, and read with each page of a list
Options = Annotated[
    dict[Annotated[str, Meta(max_length=100)], Annotated[str, Meta(max_length=1000)]], Meta(max_length=50)
]
Files = Annotated[list[InputFile], Meta(max_length=MAX_FILES)]


class BatchRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /models/{m}/batch. files: that will be sent. prefix: of inputs that are in the bucket already.

    kind: how to read files whose name does not say it (jsonl, csv, parquet, files). options: of the model's task, as
    in the query of predict. chunk: inputs per call of the worker at most.
    """

    version: int | Annotated[str, Meta(max_length=100)] | None = None
    files: Files = field(default_factory=list)
    prefix: Annotated[str, Meta(max_length=1024)] | None = None
    kind: InputKind | None = None
    options: Options = field(default_factory=dict)
    chunk: Annotated[int, Meta(ge=1, le=10_000)] | None = None


class MoreFiles(Struct, frozen=True, forbid_unknown_fields=True):
    files: Annotated[list[InputFile], Meta(min_length=1, max_length=MAX_FILES)]


class StartRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """files: how many must have arrived; fewer is a Conflict. wait: seconds to wait for the job's end, at most."""

    files: Annotated[int, Meta(ge=1)] | None = None
    wait: Annotated[int, Meta(ge=0, le=20)] = 0


def create(log: Log, model: str, request: BatchRequest, caller: Caller, key: str = "", identity: str = "") -> Job:
    """Create a job, pinned to one version. Raises BadInput, NotFound, Forbidden before anything is written.

    key: of a split alias: calls with the same key get the same version. By default, each job draws a version.
    identity: the id to use, by which an interrupted call is repeated.
    """
    if request.files and request.prefix:
        raise BadInput("give either files, to send them, or the prefix of inputs that are in the bucket, not both")
    head = log.read(keys.model_name(model))
    reference = None if request.version is None else str(request.version)
    identity = identity or new_id()
    version = head.number(reference, key or identity)
    written = _written(log, log.version(head, version))
    _check_dialect(request, written)
    prefix = f"{batch_keys.batch(identity)}in/"
    for file in request.files:
        batch_keys.batch_input(identity, file.name)
    if request.prefix is not None:
        prefix = _require_readable(log.store, request.prefix, caller)
    return jobs.create(
        log.store,
        Job(
            id=identity,
            model=model,
            version=version,
            by=caller.id,
            created_at=now(),
            prefix=prefix,
            kind=request.kind,
            chunk=request.chunk,
            options=request.options,
            csv=written,
        ),
    )


def _written(log: Log, version: Version) -> Csv | None:
    """How a version's package says that CSV files are written; None where it says nothing."""
    task = TASKS.get(version.task)
    if task is None or "table" not in task.preprocess:
        return None
    declared = models.manifest(log, version).preprocess
    return declared.csv or None if isinstance(declared, Table) else None


def _check_dialect(request: BatchRequest, written: Csv | None) -> None:
    """Raises BadInput before a job is made of it."""
    csvfile.dialect_of(request.options, written)


def _require_readable(store: Store, prefix: str, caller: Caller) -> str:
    """The prefix as a folder, of the caller's own job or of a data set that an operator stored.

    Raises BadInput, and Forbidden for inputs of another caller's job, and for a data set without the scope for it.
    """
    name, folder = batch_keys.batch_prefix(prefix)
    if jobs.exists(store, name):
        require_owner(jobs.read(store, name), caller)
    else:
        scopes.require_data(caller.scopes, name)
    return folder


def require_owner(job: Job, caller: Caller) -> None:
    """Raises Forbidden unless the caller may call the job's model, and created the job or is an administrator.

    The rows of a data set come out with the answers: who may not read it gets neither, administrators of some models
    included.
    """
    scopes.require(caller.scopes, "infer", job.model)
    if caller.owns(job.by):
        return
    if not scopes.allows(caller.scopes, "admin", job.model):
        raise Forbidden(
            f"batch job {job.id!r} belongs to another token: use the token that created it, or an administrator's"
        )
    name, _ = batch_keys.batch_prefix(job.prefix)
    if name != job.id:
        scopes.require_data(caller.scopes, name)


def destinations(store: Store, config: Config, job: Job, files: Sequence[InputFile]) -> list[dict[str, Any]]:
    """Where to send files, as for packages. Raises BadInput; Conflict once the job has started."""
    if len({file.name for file in files}) != len(files):
        raise BadInput("two files have the same name: rename one of them")
    total = sum(file.size for file in files)
    if total > MAX_TOTAL:
        raise TooLarge(
            f"the files have {total:,} bytes: a file may have {MAX_FILE:,}, all of one call {MAX_TOTAL:,}; "
            "announce them in several calls"
        )
    if files and jobs.last_run(store, job.id):
        raise Conflict(f"batch job {job.id!r} has started: create another job for more files")
    return sign(store, config, job, files)


def sign(store: Store, config: Config, job: Job, files: Sequence[InputFile]) -> list[dict[str, Any]]:
    """URLs for files that a job may have: views.FileDestination."""
    return [
        destination(
            store,
            batch_keys.batch_input(job.id, file.name),
            file.name,
            size=file.size,
            sha256=file.sha256,
            expires=config.upload_ttl,
        )
        for file in files
    ]


def require_inputs(store: Store, job: Job, files: int | None) -> None:
    """Raises Conflict unless there are `files` inputs; one, where `files` is None."""
    if files is None:
        present = len(store.list_page(job.prefix, limit=1).objects)
    else:
        present = sum(1 for _ in list_all(store, job.prefix))
    if present < (files or 1):
        raise Conflict(
            f"{present} of {files or 'at least 1'} input files are under {job.prefix}: send each file to its own URL, "
            "then start the job"
        )
