"""Events of AWS Batch: what it says of a training job is kept with the job. They come twice, late, and in any order."""

from __future__ import annotations

import logging
from typing import Any

from aws_lambda_powertools.utilities.data_classes import EventBridgeEvent

from shared.entry.wiring import store
from shared.jobs.training import status

logger = logging.getLogger(__name__)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Handle one event; an exception (the store is away, say) has Lambda deliver it again."""
    received = EventBridgeEvent(event)
    word = status.note(store(), received.detail, received.time)
    outcome = {
        "job": received.detail.get("jobName"),
        "status": received.detail.get("status"),
        "holds": word.status if word else None,
    }
    logger.info("nothing to do" if word is None else "noted", extra=outcome)
    return outcome
