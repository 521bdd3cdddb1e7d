"""Events of AWS Batch: its status reports are stored with the training job. They come twice, late, and in any order."""

from __future__ import annotations

import logging
from typing import Any

from aws_lambda_powertools.utilities.data_classes import EventBridgeEvent

from shared.entry.wiring import store
from shared.jobs.training import status

logger = logging.getLogger(__name__)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Handle one event; after an exception (the store does not answer, say) Lambda delivers it again."""
    received = EventBridgeEvent(event)
    report = status.record(store(), received.detail, received.time)
    outcome = {
        "job": received.detail.get("jobName"),
        "status": received.detail.get("status"),
        "holds": report.status if report else None,
    }
    logger.info("nothing to do" if report is None else "noted", extra=outcome)
    return outcome
