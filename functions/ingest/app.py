"""Storage events: each new object is checked, optimised and registered, or rejected with a reason."""

from __future__ import annotations

import logging
from typing import Any

import msgspec

from shared.entry.wiring import config, log
from shared.ingest import pipeline, recheck
from shared.ingest.verdict import Limits
from shared.uploads import states

logger = logging.getLogger(__name__)

TIME = 300.0  # seconds, where nobody says how many are left
MARGIN = 60.0  # of one check, which is not begun without the time to end it


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Handle every record; an exception (the store is away, say) has Lambda deliver the event again."""
    if "Records" not in event:  # the daily schedule; "patience": in seconds, by who knows that no event is on its way
        patience = float(event.get("patience", pipeline.PATIENCE))
        late = [_said(upload) for upload in pipeline.forgotten(log(), config(), Limits(), patience)]
        return {"handled": late, "rechecked": _rechecked(context)}
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


def _rechecked(context: Any) -> list[dict[str, Any]]:
    """Of the versions that an older gate has let through, as many as there is time for."""
    left = context.get_remaining_time_in_millis() / 1000 if context else TIME
    outcomes = recheck.older(log(), Limits(), left - MARGIN)
    for outcome in outcomes:
        logger.info("checked again", extra=msgspec.to_builtins(outcome))
    return [msgspec.to_builtins(outcome) for outcome in outcomes]


def _said(upload: states.Upload) -> dict[str, Any]:
    logger.info("upload", extra={"upload": upload.upload_id, "state": upload.state, "why": upload.reason})
    return {"upload_id": upload.upload_id, "state": upload.state, "version": upload.version}
