"""Storage events: each new object is checked, optimized and registered, or rejected with a reason."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec

from shared.entry.wiring import config, log
from shared.ingest import pipeline, recheck
from shared.ingest.verdict import Limits
from shared.uploads import forms, unfinished
from shared.uploads.quiet import QuietFolder, Timer

logger = logging.getLogger(__name__)

TIME = 900.0  # seconds of an invocation without a context
MARGIN = 90.0  # seconds that one check takes at most: none is begun with less time left


@cache
def timer() -> Timer | None:
    """Of the folders of the inbox; None where they are not waited for."""
    if not (config().inbox_timer and config().inbox_quiet):
        return None
    from shared.uploads.quiet_machine import QuietMachine  # boto3, for objects of the inbox alone

    return QuietMachine(config().inbox_timer, config().inbox_quiet, config().endpoint_url)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Handle every record. After an exception, such as an outage of the store, Lambda delivers the event again."""
    if event.get("look") == "inbox":
        quiet = msgspec.convert(event, QuietFolder)
        ended = pipeline.on_quiet(log(), config(), quiet, _limits(), timer())
        return {"handled": [_report(upload) for upload in ended]}
    if "Records" not in event:
        return _look(event, context)
    outcomes = [_handle(record) for record in event.get("Records", [])]
    return {"handled": [outcome for outcome in outcomes if outcome]}


def _look(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Bring unfinished uploads on, and recheck outdated versions.

    event: of a schedule, or of ops.recheck, which may send `patience` in seconds. The frequent schedule sends
    {"look": "uploads"}: it reads no model's log, and only what has no end state.
    """
    patience = float(event.get("patience", pipeline.PATIENCE))

    def bring_on() -> list[dict[str, Any]]:
        ended = pipeline.check_unfinished(log(), config(), _limits(), patience, _seconds(context))
        return [_report(upload) for upload in ended]

    if event.get("look") == "uploads":
        return {"handled": bring_on(), "rechecked": []}
    parts: dict[str, Callable[[], Any]] = {
        "marked": lambda: unfinished.mark_again(log().store),
        "handled": bring_on,
        "rechecked": lambda: _recheck(context),
    }
    outcomes = _each(parts)
    return {"handled": outcomes["handled"], "rechecked": outcomes["rechecked"]}


def _each(parts: dict[str, Callable[[], Any]]) -> dict[str, Any]:
    """What each part returns, by name. What one raises keeps no other from its work, and is raised afterwards."""
    outcomes: dict[str, Any] = {}
    problems: list[Exception] = []
    for name, work in parts.items():
        try:
            outcomes[name] = work()
        except Exception as problem:
            logger.exception("part of a look failed", extra={"part": name})
            problems.append(problem)
    if problems:
        raise problems[0]
    return outcomes


def _limits() -> Limits:
    return Limits(require_filter=config().require_filter)


def _handle(record: dict[str, Any]) -> dict[str, Any] | None:
    key = record["s3"]["object"]["key"]
    principal = record.get("userIdentity", {}).get("principalId", "inbox")
    upload = pipeline.on_object(log(), config(), key, {"principal": f"s3:{principal}"}, _limits(), timer())
    if upload is None:
        logger.info("nothing to do")
        return None
    return _report(upload)


def _recheck(context: Any) -> list[dict[str, Any]]:
    """Recheck outdated versions, as many as there is time for."""
    outcomes = recheck.check_outdated(log(), _limits(), _seconds(context))
    for outcome in outcomes:
        extra = {"model": outcome.model, "version": outcome.version, "refused": outcome.refused is not None}
        logger.info("checked again", extra=extra)
    return [msgspec.to_builtins(outcome) for outcome in outcomes]


def _seconds(context: Any) -> float:
    """Seconds in which a check may still be begun."""
    remaining = context.get_remaining_time_in_millis() / 1000 if context else TIME
    return max(0.0, remaining - MARGIN)


def _report(upload: forms.Upload) -> dict[str, Any]:
    logger.info("upload", extra={"upload": upload.upload_id, "state": upload.state, "code": upload.code})
    return {"upload_id": upload.upload_id, "state": upload.state, "version": upload.version}
