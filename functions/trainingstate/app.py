"""Events of AWS Batch: what it says of a training job is kept with the job. They come twice, late, and in any order."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger

from shared.entry.wiring import store
from shared.jobs.training import status

logger = Logger(service="trainingstate", utc=True)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Handle one event; an exception (the store is away, say) has Lambda deliver it again."""
    detail = event["detail"]
    word = status.note(store(), detail, event["time"])
    said = {"job": detail.get("jobName"), "status": detail.get("status"), "holds": word.status if word else None}
    logger.info("nothing to do" if word is None else "noted", extra=said)
    return said
