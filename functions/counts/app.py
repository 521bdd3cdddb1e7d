"""Every few minutes: what processes have counted of calls, and what labels were given, is added up.

Nobody waits for it: until then, readers add up by themselves.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from shared import deadline, metrics
from shared.counts import merge
from shared.counts.times import DAY, day_of
from shared.entry.wiring import store
from shared.feedback import stored

logger = logging.getLogger(__name__)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """event: `{"days": true}` makes the objects of the last two days that are over; any other merges what there is."""
    token = deadline.begin(context)
    try:
        if event.get("days"):
            today = int(time.time() // 60)
            days = [day_of(today - back * DAY) for back in (2, 1)]
            for day in days:
                merge.make_days(store(), day)
            return {"days": days}
        done = merge.merge(store())
        labels = stored.merge(store())
    finally:
        deadline.end(token)
    if done.found_damaged:
        metrics.emit("CountsDamaged", done.found_damaged, service="counts")
    if labels.left_out:
        metrics.emit("CountsDamaged", labels.left_out, service="counts")
    if labels.added:
        logger.info("labels merged", extra={"objects": labels.added, "left_out": labels.left_out})
    if done.added:
        logger.info("counts merged", extra={"objects": done.added, "left_out": done.left_out})
    return {"added": done.added, "left_out": done.left_out, "damaged": done.found_damaged}
