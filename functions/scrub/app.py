"""Once a day: records and blobs are read again, in rotation, and compared with their digests and signatures."""

from __future__ import annotations

import logging
import time
from typing import Any

from shared import metrics
from shared.entry.wiring import log
from shared.registry import scrub

logger = logging.getLogger(__name__)

SECONDS = 600.0  # of reading; the function has more, for the models or the blobs that it is at by then
DAY = 86400.0


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    report = scrub.scrub(log(), SECONDS)
    metrics.emit("ScrubFailed", len(report.damages), service="scrub")
    metrics.emit("ScrubAge", (time.time() - report.read_since) / DAY, service="scrub")
    figures = {"records": report.records, "blobs": report.blobs, "bytes": report.bytes, "damaged": len(report.damages)}
    logger.info("scrubbed", extra=figures | {"round_complete": report.complete})
    return {**figures, "complete": report.complete}
