"""First and last step of a batch run, called by the state machine: divide the inputs; store the run's end."""

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
        summary = plans.create(store(), job)
    except AmaasError as error:
        if error.status >= 500:
            raise  # the state machine retries
        jobs.end_run(store(), job.id, run, error=str(error))
        return {"job": job.id, "run": run, "chunks": 0}
    logger.info("planned", extra={"job": job.id, "inputs": summary.inputs, "chunks": summary.chunks})
    return {
        "job": job.id,
        "run": run,
        "chunks": summary.chunks,
        "plan": plans.plan_key(job.id),
        "results": plans.results_prefix(job.id),
    }


def _finish(job: jobs.Job, run: int, error: dict[str, Any] | None) -> dict[str, Any]:
    end = progress.finish_run(store(), job, run, _error_message(error) if error else None)
    logger.info("finished", extra={"job": job.id, "missing": end.missing, "why": end.error})
    return {"job": job.id, "run": run, "missing": end.missing}


def _error_message(error: dict[str, Any]) -> str:
    """The message in a failure as Step Functions reports it: `Cause` is a Lambda error as JSON, or a text."""
    cause = str(error.get("Cause", ""))
    try:
        cause = json.loads(cause)["errorMessage"]
    except (ValueError, KeyError, TypeError):
        pass
    return f"{error.get('Error', 'error')}: {cause}"[:500]
