"""Training jobs over HTTP: start, status, list, cancel. Status reports of AWS Batch arrive in trainingstate."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import msgspec

from functions.training.contract import JobsQuery, StatusQuery
from shared.access import scopes, slots
from shared.access.limits import TRAINING_JOBS
from shared.entry.http import Request, Response, Routes
from shared.entry.wiring import config, store
from shared.errors import BadInput
from shared.jobs.training import deletion, progress, runs, views
from shared.jobs.training import job as jobs
from shared.jobs.training.queue import BatchQueue
from shared.jobs.training.request import TrainingRequest, dataset_names
from shared.jobs.training.runs import Queue

handler = Routes("training", store=lambda: store())


@cache
def queue() -> Queue | None:
    """None for a deployment without one."""
    settings = config()
    return BatchQueue(settings.training_queue, settings.training_definition) if settings.training_queue else None


def _reread(request: Request, kept: dict[str, Any]) -> dict[str, Any]:
    """The rows that an answer repeated; none of a job whose data was deleted."""
    return {"metrics": progress.read_metrics(store(), kept["id"])}


@handler.route(
    "POST",
    "/training-jobs",
    id="createTrainingJob",
    scope="train",
    models="each",
    takes=TrainingRequest,
    gives={202: views.TrainingJob},
    errors=(501,),
    examples={"fashion": {"model": "fashion", "data": "fashion-mnist", "arguments": {"epochs": 20, "no-flip": True}}},
    keyed=True,
    deletable=("metrics",),
    reread=_reread,
)
def create(request: Request, body: TrainingRequest) -> Response:
    """Start a training job; its result is pushed as a version of the model

    Needs a deployment with a training queue: without one, the answer is 501. Follow `status_url`.
    """
    request.require("train", body.model)
    for name in dataset_names(body.data, body.arguments, config().bucket):
        scopes.require_data(request.scopes, name)
    job = runs.start(store(), queue(), body, request.caller, config().bucket, request.creates, _admit(request))
    return Response(progress.status(store(), job), 202)


def _admit(request: Request) -> Callable[[str], None]:
    """Raises TooMany unless the caller's limit has room for one more job."""

    def admit(job: str) -> None:
        most = request.limits.training_jobs
        ended = partial(runs.has_ended, store(), queue())
        slots.take(store(), request.limited, TRAINING_JOBS, job, most, ended)

    return admit


@handler.route(
    "GET",
    "/training-jobs",
    id="listTrainingJobs",
    scope="read",
    models="each",
    query=JobsQuery,
    gives=views.TrainingJobList,
)
def list_jobs(request: Request, query: JobsQuery) -> dict[str, Any]:
    """Training jobs of the models that this token may read, newest first"""
    ids, following = jobs.page(jobs.list_ids(store()), query.next, query.limit)
    summaries = progress.summarize(store(), ids)
    readable = [job for job in summaries if scopes.allows(request.scopes, "read", job["model"])]
    return {"jobs": readable, "next": following}


@handler.route(
    "GET",
    "/training-jobs/{job_id}",
    id="getTrainingJob",
    scope="read",
    models="each",
    query=StatusQuery,
    gives=views.TrainingJob,
)
def status(request: Request, query: StatusQuery) -> dict[str, Any]:
    """How far a training job is, with its metrics"""
    job = jobs.read(store(), request.params["job_id"])
    request.require("read", job.model)
    runs.refresh(store(), queue(), job)
    answer = progress.status(store(), job, query.after)
    if answer["state"] in progress.FINAL and _may_see_data(request, job):
        answer["reports"] = progress.report_urls(store(), job.id, config().upload_ttl)
    return answer


def _may_see_data(request: Request, job: jobs.Job) -> bool:
    """Whether the caller may read items of the job's data, which its reports show."""
    if request.owner.owns(job.by):
        return True
    try:
        names = dataset_names(job.data, job.arguments, config().bucket)
    except BadInput:  # of a bucket that this one was restored from
        return scopes.allows(request.scopes, "data")
    return all(scopes.allows(request.scopes, "data", name) for name in names)


@handler.route(
    "DELETE",
    "/training-jobs/{job_id}",
    id="cancelTrainingJob",
    scope="train",
    models="each",
    gives=views.TrainingJob,
    errors=(409,),
    keyed=True,
    deletable=("metrics",),
    reread=_reread,
)
def cancel(request: Request) -> dict[str, Any]:
    """Stop a training job; its last checkpoint stays"""
    job = jobs.read(store(), request.params["job_id"])
    request.require("train", job.model)
    runs.cancel(store(), queue(), job, request.caller)
    return progress.status(store(), job)


@handler.route(
    "DELETE",
    "/training-jobs/{job_id}/data",
    id="deleteTrainingJobData",
    scope="train",
    models="each",
    gives=views.TrainingDataDeletion,
    errors=(409,),
    keyed=True,
)
def delete_data(request: Request) -> views.TrainingDataDeletion:
    """Delete the checkpoints, metrics and reports of a training job that has ended, at once"""
    job = jobs.read(store(), request.params["job_id"])
    request.require("train", job.model)
    receipt = deletion.delete_data(store(), job, request.caller)
    return msgspec.convert(msgspec.to_builtins(receipt), views.TrainingDataDeletion)
