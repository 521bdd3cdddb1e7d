"""Training jobs over HTTP: start, follow, list, cancel. What AWS Batch says of them comes in by trainingstate."""

from __future__ import annotations

from functools import cache
from typing import Any

from shared.access import scopes
from shared.entry.http import Request, Response, Routes
from shared.entry.wiring import config, store
from shared.jobs.training import job as jobs
from shared.jobs.training import progress, runs
from shared.jobs.training.queue import BatchQueue
from shared.jobs.training.request import TrainingRequest
from shared.jobs.training.runs import Queue

handler = Routes("training")


@cache
def queue() -> Queue | None:
    """None where the deployment has none."""
    found = config()
    return BatchQueue(found.training_queue, found.training_definition) if found.training_queue else None


@handler.route("POST", "/training-jobs", scope="train", takes=TrainingRequest)
def create(request: Request, wanted: TrainingRequest) -> Response:
    request.require("train", wanted.model)
    job = runs.start(store(), queue(), wanted, request.caller, config().bucket)
    return Response(progress.status(store(), job), 202)


@handler.route("GET", "/training-jobs", scope="read")
def every(request: Request) -> dict[str, Any]:
    found, following = jobs.some(jobs.ids(store()), request.query.get("next"), request.limit(20, 100))
    told = progress.listed(store(), found)
    seen = [job for job in told if scopes.allows(request.scopes, "read", job["model"])]
    return {"jobs": seen, "next": following}


@handler.route("GET", "/training-jobs/{job_id}", scope="read")
def status(request: Request) -> dict[str, Any]:
    after = request.number("after", 0, 1_000_000) or 0
    job = jobs.read(store(), request.params["job_id"])
    request.require("read", job.model)
    runs.follow_up(store(), queue(), job)
    told = progress.status(store(), job, after)
    if told["state"] in progress.OVER:
        told["reports"] = progress.reports(store(), job.id, config().upload_ttl)
    return told


@handler.route("DELETE", "/training-jobs/{job_id}", scope="train")
def cancel(request: Request) -> dict[str, Any]:
    job = jobs.read(store(), request.params["job_id"])
    request.require("train", job.model)
    runs.cancel(store(), queue(), job, request.caller)
    return progress.status(store(), job)
