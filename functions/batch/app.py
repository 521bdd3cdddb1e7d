"""Batch jobs over HTTP: tickets for their inputs, start, progress, answers, cancel. No input passes here."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

from shared.entry.http import Request, Response, Routes
from shared.entry.wiring import config, log, store
from shared.jobs.batch import job as jobs
from shared.jobs.batch import progress, requests, runs
from shared.jobs.batch.job import Job
from shared.jobs.batch.machine import StateMachine
from shared.jobs.batch.runs import Machine

handler = Routes("batch")
PAUSE = 0.25


@cache
def machine() -> Machine:
    return StateMachine(config().batch_machine, config().endpoint_url)


def _job(request: Request) -> Job:
    job = jobs.read(store(), request.params["job"])
    requests.require_owner(job, request.caller, request.scopes)
    return job


def _status(job: Job) -> dict[str, Any]:
    return {**progress.status(store(), job), "status_url": f"/batch/{job.id}"}


@handler.route("POST", "/models/{model}/batch", scope="infer", takes=requests.BatchRequest)
def create(request: Request, wanted: requests.BatchRequest) -> Response:
    key = request.headers.get("x-request-key", "")
    job = requests.create(log(), request.params["model"], wanted, request.caller, request.scopes, key)
    if wanted.prefix is not None:
        requests.require_inputs(store(), job, None)
        runs.start(store(), machine(), job, request.caller)
        return Response(_status(job), 202)
    files = requests.targets(store(), config(), job, wanted.files)
    return Response({**_status(job), "files": files, "start_url": f"/batch/{job.id}/start"}, 201)


@handler.route("POST", "/batch/{job}/files", scope="infer", takes=requests.MoreFiles)
def more(request: Request, wanted: requests.MoreFiles) -> Response:
    job = _job(request)
    return Response({"files": requests.targets(store(), config(), job, wanted.files)}, 201)


@handler.route("POST", "/batch/{job}/start", scope="infer", takes=requests.StartRequest)
def start(request: Request, wanted: requests.StartRequest) -> Response:
    job = _job(request)
    requests.require_inputs(store(), job, wanted.files)
    runs.start(store(), machine(), job, request.caller)
    return _after(job, wanted.wait)


@handler.route("GET", "/batch/{job}", scope="infer")
def status(request: Request) -> Response:
    return _after(_job(request), request.number("wait", 0, 20) or 0)


def _after(job: Job, seconds: int) -> Response:
    """The job's state; while it goes on, up to so many seconds later."""
    deadline = time.monotonic() + seconds
    while True:
        told = _status(job)
        going = told["state"] in ("planning", "running")
        if not going or time.monotonic() > deadline:
            return Response(told, 202 if going else 200)
        time.sleep(PAUSE)


@handler.route("GET", "/batch/{job}/failures", scope="infer")
def failures(request: Request) -> dict[str, Any]:
    found, following = progress.failures(store(), _job(request).id, request.query.get("next"), request.limit())
    return {"failures": found, "next": following}


@handler.route("GET", "/batch/{job}/outputs", scope="infer")
def outputs(request: Request) -> dict[str, Any]:
    after = request.number("next", 0, 999_999)
    found, following = progress.outputs(store(), _job(request).id, after, request.limit(), config().upload_ttl)
    return {"outputs": found, "next": following}


@handler.route("DELETE", "/batch/{job}", scope="infer")
def cancel(request: Request) -> dict[str, Any]:
    job = _job(request)
    runs.cancel(store(), machine(), job)
    return _status(job)
