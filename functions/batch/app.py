"""Batch jobs over HTTP: tickets for their inputs, start, progress, answers, cancel. No input passes here."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

from shared.batch import job as jobs
from shared.batch import progress, runs, tickets
from shared.batch.job import Job
from shared.batch.machine import StateMachine
from shared.batch.runs import Machine
from shared.handler import Request, Response, Routes, config, log, store

handler = Routes("batch")
PAUSE = 0.25


@cache
def machine() -> Machine:
    return StateMachine(config().batch_machine, config().endpoint_url)


def _job(request: Request) -> Job:
    job = jobs.read(store(), request.params["job"])
    tickets.require_owner(job, request.caller, request.scopes)
    return job


def _status(job: Job) -> dict[str, Any]:
    return {**progress.status(store(), job), "status_url": f"/batch/{job.id}"}


@handler.route("POST", "/models/{model}/batch", scope="infer", takes=tickets.BatchRequest)
def create(request: Request, wanted: tickets.BatchRequest) -> Response:
    key = request.headers.get("x-request-key", "")
    job = tickets.create(log(), request.params["model"], wanted, request.caller, request.scopes, key)
    if wanted.prefix is not None:
        tickets.require_inputs(store(), job, None)
        runs.start(store(), machine(), job, request.caller)
        return Response(_status(job), 202)
    files = tickets.targets(store(), config(), job, wanted.files)
    return Response({**_status(job), "files": files, "start_url": f"/batch/{job.id}/start"}, 201)


@handler.route("POST", "/batch/{job}/files", scope="infer", takes=tickets.MoreFiles)
def more(request: Request, wanted: tickets.MoreFiles) -> Response:
    job = _job(request)
    return Response({"files": tickets.targets(store(), config(), job, wanted.files)}, 201)


@handler.route("POST", "/batch/{job}/start", scope="infer", takes=tickets.StartRequest)
def start(request: Request, wanted: tickets.StartRequest) -> Response:
    job = _job(request)
    tickets.require_inputs(store(), job, wanted.files)
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
