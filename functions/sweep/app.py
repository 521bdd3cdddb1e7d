"""Once a day: blobs that nothing names any more are removed. No other function may remove one."""

from __future__ import annotations

import logging
from typing import Any

from shared.entry.wiring import log
from shared.registry import catalog, collect

logger = logging.getLogger(__name__)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    report = collect.collect(log())
    catalog.compact(log())
    logger.info("collected", extra={"kept": report.kept, "removed": report.deleted, "freed": report.freed})
    return {"kept": report.kept, "deleted": len(report.deleted), "freed": report.freed}
