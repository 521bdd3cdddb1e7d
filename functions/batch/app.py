"""Batch jobs over HTTP: tickets for their inputs, start, progress, answers, cancel. No input passes here."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

from functions.batch.contract import FailuresQuery, OutputsQuery, StatusQuery
from shared.entry.http import Request, Response, Routes
from shared.entry.wiring import config, log, store
from shared.jobs.batch import job as jobs
from shared.jobs.batch import progress, requests, runs, views
from shared.jobs.batch.job import Job
from shared.jobs.batch.machine import StateMachine
from shared.jobs.batch.runs import Machine

handler = Routes("batch")
PAUSE = 0.25
# at an end; still going on
STATUS = {200: views.BatchJob, 202: views.BatchJob}


@cache
def machine() -> Machine:
    return StateMachine(config().batch_machine, config().endpoint_url)


def _job(request: Request) -> Job:
    job = jobs.read(store(), request.params["job"])
    requests.require_owner(job, request.caller, request.scopes)
    return job


def _status(job: Job) -> dict[str, Any]:
    return {**progress.status(store(), job), "status_url": f"/batch/{job.id}"}


@handler.route(
    "POST",
    "/models/{model}/batch",
    id="createBatchJob",
    scope="infer",
    takes=requests.BatchRequest,
    gives={201: views.BatchJobCreated, 202: views.BatchJob},
    errors=(409,),
    examples={"files": {"files": [{"name": "a.png"}, {"name": "b.png"}], "options": {"top_k": "1"}}},
)
def create(request: Request, body: requests.BatchRequest) -> Response:
    """Create a batch job, for files to send or for inputs that are in the bucket

    With `prefix`, the job is started at once.
    """
    key = request.headers.get("x-request-key", "")
    job = requests.create(log(), request.params["model"], body, request.caller, request.scopes, key)
    if body.prefix is not None:
        requests.require_inputs(store(), job, None)
        runs.start(store(), machine(), job, request.caller)
        return Response(_status(job), 202)
    files = requests.targets(store(), config(), job, body.files)
    return Response({**_status(job), "files": files, "start_url": f"/batch/{job.id}/start"}, 201)


@handler.route(
    "POST",
    "/batch/{job}/files",
    id="addBatchJobFiles",
    scope="infer",
    takes=requests.MoreFiles,
    gives={201: views.FileDestinations},
    errors=(409,),
    examples={"files": {"files": [{"name": "c.png"}]}},
)
def add_files(request: Request, body: requests.MoreFiles) -> Response:
    """Where to send more files of a job"""
    job = _job(request)
    return Response({"files": requests.targets(store(), config(), job, body.files)}, 201)


@handler.route(
    "POST",
    "/batch/{job}/start",
    id="startBatchJob",
    scope="infer",
    takes=requests.StartRequest,
    gives=STATUS,
    errors=(409,),
)
def start(request: Request, body: requests.StartRequest) -> Response:
    """Start a job, or start again what is left of one"""
    job = _job(request)
    requests.require_inputs(store(), job, body.files)
    runs.start(store(), machine(), job, request.caller)
    return _after(job, body.wait)


@handler.route("GET", "/batch/{job}", id="getBatchJob", scope="infer", query=StatusQuery, gives=STATUS)
def status(request: Request, query: StatusQuery) -> Response:
    """How far a job is; 202 while it goes on"""
    return _after(_job(request), query.wait)


def _after(job: Job, seconds: int) -> Response:
    """The job's state; while it goes on, up to so many seconds later."""
    deadline = time.monotonic() + seconds
    while True:
        told = _status(job)
        going = told["state"] in ("planning", "running")
        if not going or time.monotonic() > deadline:
            return Response(told, 202 if going else 200)
        time.sleep(PAUSE)


@handler.route(
    "GET",
    "/batch/{job}/failures",
    id="listBatchJobFailures",
    scope="infer",
    query=FailuresQuery,
    gives=views.BatchFailures,
)
def failures(request: Request, query: FailuresQuery) -> dict[str, Any]:
    """Inputs that failed, with their errors, in the inputs' order"""
    page, following = progress.failures(store(), _job(request).id, query.next, query.limit)
    return {"failures": page, "next": following}


@handler.route(
    "GET", "/batch/{job}/outputs", id="listBatchJobOutputs", scope="infer", query=OutputsQuery, gives=views.BatchOutputs
)
def outputs(request: Request, query: OutputsQuery) -> dict[str, Any]:
    """Where the answers are, in the inputs' order"""
    page, following = progress.outputs(store(), _job(request).id, query.next, query.limit, config().upload_ttl)
    return {"outputs": page, "next": following}


@handler.route("DELETE", "/batch/{job}", id="cancelBatchJob", scope="infer", gives=views.BatchJob, errors=(409,))
def cancel(request: Request) -> dict[str, Any]:
    """Stop a job; what is done stays"""
    job = _job(request)
    runs.cancel(store(), machine(), job)
    return _status(job)
