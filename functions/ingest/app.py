"""Storage events: each new object is checked, optimized and registered, or rejected with a reason."""

from __future__ import annotations

import logging
from typing import Any

import msgspec

from shared.entry.wiring import config, log
from shared.ingest import pipeline, recheck
from shared.ingest.verdict import Limits
from shared.uploads import states

logger = logging.getLogger(__name__)

TIME = 300.0  # seconds of an invocation without a context
MARGIN = 60.0  # seconds of one check: none is begun with less time left


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Handle every record. After an exception, such as an outage of the store, Lambda delivers the event again."""
    if "Records" not in event:  # the daily schedule, or ops.recheck, which may send "patience" in seconds
        patience = float(event.get("patience", pipeline.PATIENCE))
        late = [_report(upload) for upload in pipeline.check_unfinished(log(), config(), _limits(), patience)]
        return {"handled": late, "rechecked": _recheck(context)}
    outcomes = [_handle(record) for record in event.get("Records", [])]
    return {"handled": [outcome for outcome in outcomes if outcome]}


def _limits() -> Limits:
    return Limits(require_filter=config().require_system_call_filter)


def _handle(record: dict[str, Any]) -> dict[str, Any] | None:
    key = record["s3"]["object"]["key"]
    principal = record.get("userIdentity", {}).get("principalId", "inbox")
    upload = pipeline.on_object(log(), config(), key, {"principal": f"s3:{principal}"}, _limits())
    if upload is None:
        logger.info("nothing to do", extra={"key": key})
        return None
    return _report(upload)


def _recheck(context: Any) -> list[dict[str, Any]]:
    """Recheck outdated versions, as many as there is time for."""
    remaining = context.get_remaining_time_in_millis() / 1000 if context else TIME
    outcomes = recheck.check_outdated(log(), _limits(), remaining - MARGIN)
    for outcome in outcomes:
        logger.info("checked again", extra=msgspec.to_builtins(outcome))
    return [msgspec.to_builtins(outcome) for outcome in outcomes]


def _report(upload: states.Upload) -> dict[str, Any]:
    logger.info("upload", extra={"upload": upload.upload_id, "state": upload.state, "why": upload.reason})
    return {"upload_id": upload.upload_id, "state": upload.state, "version": upload.version}
