"""Storage events: each new object is checked, optimised and registered, or rejected with a reason."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger

from shared.handler import config, log
from shared.ingest import pipeline
from shared.ingest.verdict import Limits
from shared.registry import uploads

logger = Logger(service="ingest", utc=True)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Handle every record; an exception (the store is away, say) has Lambda deliver the event again."""
    if (
        "Records" not in event
    ):  # the daily schedule; with "patience", in seconds, whoever knows that no event is on its way
        patience = float(event.get("patience", pipeline.PATIENCE))
        return {"handled": [_said(upload) for upload in pipeline.forgotten(log(), config(), Limits(), patience)]}
    outcomes = [_one(record) for record in event.get("Records", [])]
    return {"handled": [outcome for outcome in outcomes if outcome]}


def _one(record: dict[str, Any]) -> dict[str, Any] | None:
    key = record["s3"]["object"]["key"]
    who = record.get("userIdentity", {}).get("principalId", "inbox")
    upload = pipeline.on_object(log(), config(), key, {"principal": f"s3:{who}"}, Limits())
    if upload is None:
        logger.info("nothing to do", extra={"key": key})
        return None
    return _said(upload)


def _said(upload: uploads.Upload) -> dict[str, Any]:
    logger.info("upload", extra={"upload": upload.upload_id, "state": upload.state, "why": upload.reason})
    return {"upload_id": upload.upload_id, "state": upload.state, "version": upload.version}
