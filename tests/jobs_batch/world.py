"""A batch job on a store, and its state machine: the steps, one after the other."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from shared import batch_keys
from shared.clock import now
from shared.errors import BadInput
from shared.jobs.batch import job as jobs
from shared.jobs.batch import plan, progress
from shared.jobs.batch.job import Job
from shared.jobs.batch.plan import PLAN, Chunk, plan_key
from shared.jobs.batch.work import Predict, process
from shared.package.manifest import Manifest, Tensor
from shared.storage.base import Store, list_all

MANIFEST = Manifest(name="m", task="tensor", inputs=[Tensor("x", "FP32", [-1, 2])])
IMAGES = Manifest(name="m", task="image-classification", inputs=[Tensor("x", "FP32", [-1, 1, 4, 4])])


def a_job(store: Store, files: dict[str, bytes], **options: Any) -> Job:
    job = Job(id="j1", model="m", version=1, by="ann", created_at=now(), prefix="batch/j1/in/", **options)
    for name, body in files.items():
        store.put(batch_keys.batch_input("j1", name), body)
    return jobs.create(store, job)


def echo(body: bytes, content_type: str) -> dict[str, Any]:
    """Answers with the input; refuses what is no JSON, and what says so."""
    try:
        value = json.loads(body)
    except ValueError as error:
        raise BadInput("no JSON") from error
    if value == "refused":
        raise BadInput("refused, as asked")
    return {"model": "m", "version": 1, "echo": value}


def for_ever() -> float:
    return 1e9


def chunks(store: Store, job: Job) -> list[Chunk]:
    return PLAN.decode(store.get(plan_key(job.id)).body)


def run(
    store: Store,
    job: Job,
    predict: Predict = echo,
    *,
    number: int = 1,
    order: Callable[[list[Chunk]], Iterable[Chunk]] = list,
    manifest: Manifest = MANIFEST,
    remaining: Callable[[], float] = for_ever,
) -> None:
    """What the machine does: plan, every chunk, finish."""
    plan.create(store, job)
    for chunk in order(chunks(store, job)):
        process(store, job, number, chunk, manifest, predict, remaining)
    progress.finish_run(store, job, number)


def answers(store: Store, job: Job) -> list[dict[str, Any]]:
    """All lines of all outputs, in the order of their keys."""
    outputs = list_all(store, f"{batch_keys.batch(job.id)}out/")
    return [json.loads(line) for info in outputs for line in store.get(info.key).body.splitlines()]
