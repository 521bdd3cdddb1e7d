"""The two ends of a batch run, called by the state machine: divide the inputs into chunks; note what came of them."""

from __future__ import annotations

import json
import logging
from typing import Any

from shared.entry.wiring import store
from shared.errors import AmaasError
from shared.jobs.batch import job as jobs
from shared.jobs.batch import plan as plans
from shared.jobs.batch import progress

logger = logging.getLogger(__name__)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    job, run = jobs.read(store(), event["job"]), int(event["run"])
    if event["step"] == "finish":
        return _finish(job, run, event.get("error"))
    try:
        made = plans.plan(store(), job)
    except AmaasError as error:
        if error.status >= 500:
            raise  # the state machine tries again
        jobs.end(store(), job.id, run, error=str(error))
        return {"job": job.id, "run": run, "chunks": 0}
    logger.info("planned", extra={"job": job.id, "inputs": made.inputs, "chunks": made.chunks})
    return {
        "job": job.id,
        "run": run,
        "chunks": made.chunks,
        "plan": plans.plan_key(job.id),
        "results": plans.results_prefix(job.id),
    }


def _finish(job: jobs.Job, run: int, error: dict[str, Any] | None) -> dict[str, Any]:
    ended = progress.finish(store(), job, run, _said(error) if error else None)
    logger.info("finished", extra={"job": job.id, "missing": ended.missing, "why": ended.error})
    return {"job": job.id, "run": run, "missing": ended.missing}


def _said(error: dict[str, Any]) -> str:
    """The message in what Step Functions tells of a failure."""
    cause = str(error.get("Cause", ""))
    try:
        cause = json.loads(cause)["errorMessage"]
    except (ValueError, KeyError, TypeError):
        pass
    return f"{error.get('Error', 'error')}: {cause}"[:500]
