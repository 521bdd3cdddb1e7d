"""Figures for CloudWatch, in its embedded metric format: a JSON line on standard output becomes metrics.

The one way to a figure. A line may carry context beside its figures, which can be searched in the log and costs no
metric: a call's line is such a one. LogLevel decides on the context, never on the figures: above INFO a line bears the
level that passes, for Lambda takes a line without one for INFO and would drop it. See decision 26.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

import msgspec

from shared import logs

NAMESPACE = "Amaas"
COUNT, MILLISECONDS, NONE, PER_SECOND = "Count", "Milliseconds", "None", "Count/Second"
# every figure that there is, with its unit
UNITS = {
    "Duration": MILLISECONDS,  # of a call, from the event to the answer
    "Errors": COUNT,  # calls answered with 4xx
    "Faults": COUNT,  # calls answered with 5xx
    "UploadsFailed": COUNT,  # uploads that ended without a verdict, after all their attempts
    "InboxRefused": COUNT,  # objects in the inbox that are no part of a package
    "ModelCrashed": COUNT,  # calls that ended the process of their model, and no other
    "ModelTimedOut": COUNT,  # calls whose model was ended for being at work when the function's time was over
    "ModelUnfiltered": COUNT,  # models loaded without the system-call filter, where that is allowed
    "ProcessorMismatch": COUNT,  # versions not served, since they answer differently on this kind of processor
    "WatchFailed": COUNT,  # canaries that could not be judged
    "Drifted": COUNT,  # versions whose calls differ from what they were made of, in each window
    "RolledBack": COUNT,  # canaries that the watcher rolled back
    "ScrubFailed": COUNT,  # records and blobs that are not as they were written
    "ScrubAge": NONE,  # days in which every record and blob was read again
    "SystemCallFilterMissing": COUNT,  # processes for strangers' models that the kernel gave no filter
    "CountsDamaged": COUNT,  # stored counts that cannot be read, and are left out of sums
    "Shadowed": COUNT,  # calls repeated with a shadow
    "ShadowDifferent": COUNT,
    "ShadowFailed": COUNT,
    "ShadowDropped": COUNT,
    "ShadowDuration": MILLISECONDS,
    "PromptTokens": COUNT,  # of each text that was generated, and the next three
    "CompletionTokens": COUNT,
    "TimeToFirstToken": MILLISECONDS,  # from the beginning of the prompt's reading, where the model is loaded
    "TokensPerSecond": PER_SECOND,  # behind the first one
}


def emit(name: str, value: float, **dimensions: str) -> None:
    """One figure. name: a key of UNITS. dimensions: what CloudWatch tells it apart by, each combination at a price."""
    event(name, {name: value}, dimensions)


def event(
    message: str,
    figures: Mapping[str, float],
    dimensions: Mapping[str, str],
    context: Mapping[str, Any] | None = None,
) -> None:
    """Figures that belong together, as one line. context: values of any kind; what JSON does not have becomes text."""
    now = time.time()
    directive = {"Timestamp": int(now * 1000), "CloudWatchMetrics": _declared(tuple(figures), tuple(dimensions))}
    stamp = f"{_second(int(now))}.{int(now * 1000) % 1000:03d}Z"
    line: dict[str, Any] = {"timestamp": stamp, "level": _level(), "message": message, "_aws": directive}
    line.update(dimensions)
    line.update(figures)
    if context and _contextual():
        line.update(context)
    # one write per line: those of several threads must not be mixed
    sys.stdout.write(_text(line) + "\n")
    sys.stdout.flush()


@lru_cache(maxsize=64)
def _declared(names: tuple[str, ...], dimensions: tuple[str, ...]) -> msgspec.Raw:
    metrics = [{"Name": name, "Unit": UNITS[name]} for name in names]
    return msgspec.Raw(msgspec.json.encode([{"Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": metrics}]))


@cache
def _level() -> str:
    return "INFO" if _contextual() else logs.level()


@cache
def _contextual() -> bool:
    return logs.level() in ("TRACE", "DEBUG", "INFO")


@lru_cache(maxsize=1)
def _second(now: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))


def _text(line: dict[str, Any]) -> str:
    try:
        return msgspec.json.encode(line, enc_hook=str).decode()
    except UnicodeEncodeError:  # half a surrogate pair, which an event's JSON may hold
        return json.dumps(line, default=_plain)


def _plain(value: Any) -> Any:
    return json.loads(bytes(value)) if isinstance(value, msgspec.Raw) else str(value)
