"""Each minute, canaries are judged by their counts, and moved; after each move, whoever is to be told is told. Each
hour, calls are compared with what their versions were made of.

No route: whoever may invoke this function can do no more than have it look once more; for drift, as of another time,
too: {"drift": true, "minute": minutes since the epoch}.
"""

from __future__ import annotations

import logging
import time
from functools import cache
from typing import Any

import msgspec

from shared import deadline, keys, metrics
from shared.entry.wiring import config, log, store
from shared.release import notify, stored, watch, webhook
from shared.release.counted import Minute
from shared.release.judge import RollBack, Wait
from shared.release.notify import Message, Send
from shared.release.watch import Canary, Looked

logger = logging.getLogger(__name__)

QUIET = 300.0  # seconds until this process looks again, where it found nothing to watch; a move wakes it


class _Rest:
    """Until when this process need not look. Time is the monotonic clock's."""

    until = 0.0


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """An event of the store (a model was changed) or of the schedule. After an exception Lambda delivers it again."""
    token = deadline.begin(context)
    try:
        if "Records" in event:
            _Rest.until = 0.0
            told = [_tell(record["s3"]["object"]["key"]) for record in event["Records"]]
            return {"told": [one for one in told if one]}
        if event.get("drift"):
            return _look_for_drift(int(event.get("minute") or time.time() // 60))
        return _look()
    finally:
        deadline.end(token)


def _look() -> dict[str, Any]:
    if time.monotonic() < _Rest.until:
        return {"looked": []}
    looked = watch.look(log(), _counts_of, int(time.time() // 60))
    _Rest.until = 0.0 if looked else time.monotonic() + QUIET
    return {"looked": [_report(one) for one in looked]}


def _look_for_drift(now: int) -> dict[str, Any]:
    """A figure, and a line, for each version and window with drift; an alarm rings by the figure."""
    from shared.drift import look  # once an hour: the look of each minute does not wait for it

    seen = look.look(log(), now)
    drifted = []
    for one in seen:
        if one.verdict is None or one.verdict.state != "drift":
            continue
        said = {"model": one.model, "version": one.version, "window": one.window, "since": one.since}
        metrics.emit("Drifted", 1, service="watch")
        logger.info("drift", extra=said | {"severity": one.verdict.severity, "reason": one.verdict.reason})
        drifted.append([one.model, one.version, one.window])
    return {"drifted": drifted, "looked": len(seen)}


def _counts_of(canary: Canary) -> list[Minute]:
    """Of both versions, since the stage began. Raises Unavailable."""
    counts = stored.counts_of(store(), canary, int(time.time() // 60))
    if counts.left_out or counts.dropped:
        missing = {"left_out": counts.left_out, "dropped": counts.dropped}
        logger.warning("counts are missing", extra={"model": canary.model, "alias": canary.alias, **missing})
    return counts.minutes


def _report(one: Looked) -> dict[str, Any]:
    """A figure where a canary could not be judged or was rolled back, and a line for what is more than waiting."""
    verdict = one.verdict
    said: dict[str, Any] = {"model": one.model, "alias": one.alias}
    if verdict is None:
        metrics.emit("WatchFailed", 1, service="watch")
        return said | {"verdict": None}
    said |= {"verdict": type(verdict).__name__, "reason": verdict.reason, "obstacle": one.obstacle}
    if isinstance(verdict, RollBack) and one.obstacle is None:
        metrics.emit("RolledBack", 1, service="watch")
    if not isinstance(verdict, Wait):
        logger.info("verdict", extra=said)
    return said


def _tell(key: str) -> str | None:
    """The id of the message that was sent; None where a change is none of the watcher's."""
    named = keys.parse_changed(key)
    message = notify.message_of(log(), *named) if named else None
    if message is None:
        return None
    notify.tell(message, _ways())
    logger.info("told", extra={"id": message.id, "subject": message.subject})
    return message.id


@cache
def _ways() -> tuple[Send, ...]:
    """How this deployment's people are told: by a topic, by a webhook, by both, or not at all."""
    settings, ways = config(), list[Send]()
    if settings.notify_topic:
        from shared.release.topic import Topic  # boto3, for the few that are told

        topic = Topic(settings.notify_topic, settings.endpoint_url)
        ways.append(lambda message: topic.send(message.subject, message.text))
    if settings.webhook_url:
        ways.append(lambda message: _post(settings.webhook_url, settings.webhook_secret, message))
    return tuple(ways)


def _post(url: str, secret: str, message: Message) -> None:
    webhook.send(url, secret, msgspec.json.encode(message))
