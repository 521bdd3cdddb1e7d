"""Once a day: blobs that nothing names any more are removed. No other function may remove one."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger

from shared.entry.wiring import log
from shared.registry import catalogue, collect

logger = Logger(service="sweep", utc=True)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    report = collect.collect(log())
    catalogue.compact(log())
    logger.info("collected", extra={"kept": report.kept, "removed": report.deleted, "freed": report.freed})
    return {"kept": report.kept, "deleted": len(report.deleted), "freed": report.freed}
