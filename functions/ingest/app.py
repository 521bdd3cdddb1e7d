"""Storage events: each new object is checked, optimised and registered, or rejected with a reason."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger

from shared.handler import config, store
from shared.ingest import pipeline
from shared.ingest.verdict import Limits

logger = Logger(service="ingest", utc=True)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Handle every record; an exception (the store is away, say) has Lambda deliver the event again."""
    outcomes = [_one(record) for record in event.get("Records", [])]
    return {"handled": [outcome for outcome in outcomes if outcome]}


def _one(record: dict[str, Any]) -> dict[str, Any] | None:
    key = record["s3"]["object"]["key"]
    who = record.get("userIdentity", {}).get("principalId", "inbox")
    upload = pipeline.on_object(store(), config(), key, {"principal": f"s3:{who}"}, Limits())
    if upload is None:
        logger.info("nothing to do", extra={"key": key})
        return None
    logger.info("upload", extra={"upload": upload.upload_id, "state": upload.state, "why": upload.reason})
    return {"upload_id": upload.upload_id, "state": upload.state, "version": upload.version}
