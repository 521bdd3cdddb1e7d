"""Events of AWS Batch: its status reports are stored with the training job. They come twice, late, and in any order.

And once an hour, a look at the jobs without an end: events may be lost, and some jobs wait for a machine in vain.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.data_classes import EventBridgeEvent

from shared.entry.wiring import config, store
from shared.jobs.training import runs, status
from shared.jobs.training.runs import Queue

logger = logging.getLogger(__name__)
SCHEDULE = "aws.events"
TIME = 60.0  # seconds of an invocation without a context
MARGIN = 20.0  # seconds that one job takes at most, where AWS Batch does not answer


@cache
def queue() -> Queue:
    from shared.jobs.training.queue import BatchQueue  # boto3, for the look only

    return BatchQueue(config().training_queue, config().training_definition)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Handle one event; after an exception (the store does not answer, say) Lambda delivers it again."""
    received = EventBridgeEvent(event)
    if received.source == SCHEDULE:
        return _look(context)
    report = status.record(store(), received.detail, received.time)
    outcome = {
        "job": received.detail.get("jobName"),
        "status": received.detail.get("status"),
        "holds": report.status if report else None,
    }
    logger.info("nothing to do" if report is None else "noted", extra=outcome)
    return outcome


def _look(context: Any) -> dict[str, Any]:
    remaining = context.get_remaining_time_in_millis() / 1000 if context else TIME
    ended = runs.reconcile(store(), queue(), remaining - MARGIN)
    for job in ended:
        logger.info("ended by the look", extra={"job": job})
    return {"ended": ended}
