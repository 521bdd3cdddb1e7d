"""Batch jobs over HTTP: destinations for inputs, start, status, outputs, cancel. Inputs go straight to the bucket."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import msgspec

from functions.batch.contract import FailuresQuery, JobsQuery, OutputsQuery, StatusQuery
from shared.access import slots
from shared.access.limits import BATCH_JOBS
from shared.clock import new_id
from shared.entry.http import Request, Response, Routes
from shared.entry.wiring import config, log, store
from shared.errors import NotFound
from shared.jobs.batch import deletion, listing, progress, requests, runs, views
from shared.jobs.batch import job as jobs
from shared.jobs.batch.job import Job
from shared.jobs.batch.machine import StateMachine
from shared.jobs.batch.runs import Machine

handler = Routes("batch", store=lambda: store())
FIRST_PAUSE, PAUSE_GROWTH, LONGEST_PAUSE = 0.25, 1.5, 2.0  # seconds between looks at a job that is waited for
PARALLEL = 8  # jobs of a list whose progress is read at the same time
# at an end; active
STATUS = {200: views.BatchJob, 202: views.BatchJob}


@cache
def machine() -> Machine:
    return StateMachine(config().batch_machine, config().endpoint_url)


def _job(request: Request) -> Job:
    job = jobs.read(store(), request.params["job"])
    requests.require_owner(job, request.owner)
    return job


def _start(request: Request, job: Job) -> None:
    """Start a run, if the caller's limit has room for one. Raises TooMany."""

    def admit(run: int) -> None:
        name, most = runs.slot_name(job, run), request.limits.batch_jobs
        slots.take(store(), request.limited, BATCH_JOBS, name, most, lambda one: runs.has_ended(store(), machine, one))

    runs.start(store(), machine(), job, request.caller, admit)


def _use_bytes(request: Request, files: Sequence[requests.InputFile]) -> None:
    """Count files against the caller's limit. Raises TooMany."""
    if files:
        name, size = request.creates or new_id(), sum(file.size for file in files)
        slots.use_bytes(store(), request.limited, name, size, request.limits.upload_bytes)


def _status(job: Job) -> dict[str, Any]:
    return {**progress.status(store(), job), "status_url": f"/batch/{job.id}"}


DELETABLE = ("failures", "error", "results")


def _reread(request: Request, kept: dict[str, Any]) -> dict[str, Any]:
    """What an answer repeated of a job's inputs and outputs, as far as these are still there."""
    try:
        return progress.status(store(), jobs.read(store(), kept["id"]))
    except NotFound:
        return {"failures": []}


def _reread_files(request: Request, kept: dict[str, Any]) -> dict[str, Any]:
    """The same with new URLs for the files; none of a job that was deleted."""
    present = _reread(request, kept)
    job = jobs.read(store(), kept["id"]) if "id" in present else None
    files = request.json(requests.BatchRequest).files
    return {**present, "files": requests.sign(store(), config(), job, files) if job else []}


@handler.route(
    "GET", "/batch", id="listBatchJobs", scope="infer", models="each", query=JobsQuery, gives=views.BatchJobList
)
def list_jobs(request: Request, query: JobsQuery) -> dict[str, Any]:
    """Batch jobs of this token, newest first; an administrator's of all tokens

    A page may be shorter than `limit`, and have a next one.
    """
    allowed = listing.may_use(request.caller, request.scopes)
    page, following = listing.page(store(), allowed, query.model, query.next, query.limit)
    with ThreadPoolExecutor(PARALLEL) as pool:
        return {"jobs": list(pool.map(_summary, page)), "next": following}


def _summary(job: Job) -> dict[str, Any]:
    summary = progress.summarize(store(), job)
    if summary["state"] in progress.ACTIVE and runs.refresh(store(), machine, job):
        summary = progress.summarize(store(), job)
    return {**summary, "status_url": f"/batch/{job.id}"}


@handler.route(
    "POST",
    "/models/{model}/batch",
    id="createBatchJob",
    scope="infer",
    takes=requests.BatchRequest,
    gives={201: views.BatchJobCreated, 202: views.BatchJob},
    sticky=True,
    errors=(409,),
    examples={
        "files": {
            "files": [{"name": "a.png", "size": 2048}, {"name": "b.png", "size": 4096}],
            "options": {"top_k": "1"},
        }
    },
    keyed=True,
    deletable=(*DELETABLE, "files"),
    reread=_reread_files,
)
def create(request: Request, body: requests.BatchRequest) -> Response:
    """Create a batch job, for files to send or for inputs that are in the bucket

    With `prefix`, the job is started at once.
    """
    key = request.headers.get("x-request-key", "")
    job = requests.create(log(), request.params["model"], body, request.owner, key, request.creates)
    if body.prefix is not None:
        requests.require_inputs(store(), job, None)
        _start(request, job)
        return Response(_status(job), 202)
    _use_bytes(request, body.files)
    files = requests.destinations(store(), config(), job, body.files)
    return Response({**_status(job), "files": files, "start_url": f"/batch/{job.id}/start"}, 201)


@handler.route(
    "POST",
    "/batch/{job}/files",
    id="addBatchJobFiles",
    scope="infer",
    models="each",
    takes=requests.MoreFiles,
    gives={201: views.FileDestinations},
    errors=(409,),
    examples={"files": {"files": [{"name": "c.png", "size": 1024}]}},
)
def add_files(request: Request, body: requests.MoreFiles) -> Response:
    """Where to send more files of a job"""
    job = _job(request)
    _use_bytes(request, body.files)
    return Response({"files": requests.destinations(store(), config(), job, body.files)}, 201)


@handler.route(
    "POST",
    "/batch/{job}/start",
    id="startBatchJob",
    scope="infer",
    models="each",
    takes=requests.StartRequest,
    gives=STATUS,
    errors=(409,),
    keyed=True,
    deletable=DELETABLE,
    reread=_reread,
)
def start(request: Request, body: requests.StartRequest) -> Response:
    """Start a job, or start again what is left of one"""
    job = _job(request)
    requests.require_inputs(store(), job, body.files)
    _start(request, job)
    return _wait(job, body.wait)


@handler.route("GET", "/batch/{job}", id="getBatchJob", scope="infer", models="each", query=StatusQuery, gives=STATUS)
def status(request: Request, query: StatusQuery) -> Response:
    """How far a job is; 202 while it goes on"""
    return _wait(_job(request), query.wait)


def _wait(job: Job, seconds: int) -> Response:
    """The job's status once no run is active, and after `seconds` at the latest."""
    answer = _status(job)
    if answer["state"] in progress.ACTIVE and runs.refresh(store(), machine, job):
        answer = _status(job)
    if seconds and answer["state"] in progress.ACTIVE:
        for pause in _pauses(seconds):
            time.sleep(pause)
            if not progress.is_active(store(), job):
                break
        answer = _status(job)
    return Response(answer, 202 if answer["state"] in progress.ACTIVE else 200)


def _pauses(seconds: int) -> Iterator[float]:
    """Pauses that add up to `seconds`. They grow: a short job is answered soon, a long one costs few requests."""
    pause, rest = FIRST_PAUSE, float(seconds)
    while rest > 0:
        yield min(pause, rest)
        rest -= pause
        pause = min(pause * PAUSE_GROWTH, LONGEST_PAUSE)


@handler.route(
    "GET",
    "/batch/{job}/failures",
    id="listBatchJobFailures",
    scope="infer",
    models="each",
    query=FailuresQuery,
    gives=views.BatchFailures,
)
def failures(request: Request, query: FailuresQuery) -> dict[str, Any]:
    """Inputs that failed, with their errors, in the inputs' order"""
    page, following = progress.list_failures(store(), _job(request).id, query.next, query.limit)
    return {"failures": page, "next": following}


@handler.route(
    "GET",
    "/batch/{job}/outputs",
    id="listBatchJobOutputs",
    scope="infer",
    models="each",
    query=OutputsQuery,
    gives=views.BatchOutputs,
)
def outputs(request: Request, query: OutputsQuery) -> dict[str, Any]:
    """Where the answers are, in the inputs' order"""
    page, following = progress.list_outputs(store(), _job(request).id, query.next, query.limit, config().upload_ttl)
    return {"outputs": page, "next": following}


@handler.route(
    "DELETE",
    "/batch/{job}",
    id="cancelBatchJob",
    scope="infer",
    models="each",
    gives=views.BatchJob,
    errors=(409,),
    keyed=True,
    deletable=DELETABLE,
    reread=_reread,
)
def cancel(request: Request) -> dict[str, Any]:
    """Stop a job; what is done stays"""
    job = _job(request)
    runs.cancel(store(), machine(), job)
    return _status(job)


@handler.route(
    "DELETE",
    "/batch/{job}/data",
    id="deleteBatchJobData",
    scope="infer",
    models="each",
    gives=views.BatchDataDeletion,
    errors=(409,),
    keyed=True,
)
def delete_data(request: Request) -> views.BatchDataDeletion:
    """Delete a job that does not run at once: its inputs, answers and records"""
    job = _job(request)
    runs.refresh(store(), machine, job)  # a run that died is no reason to keep it
    receipt = deletion.delete(store(), job, request.caller, lambda receipt: request.prepare(_shown(receipt)))
    return _shown(receipt)


def _shown(receipt: deletion.Deletion) -> views.BatchDataDeletion:
    return msgspec.convert(msgspec.to_builtins(receipt), views.BatchDataDeletion)
