"""One line of a function's log, as its readers get it."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any, Literal, get_args

from msgspec import Meta, Struct

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
LEVELS = get_args(Level)
# as Lambda and the metrics name them; TRACE and FATAL are what LogLevel may say
SAME = {"WARN": "WARNING", "TRACE": "DEBUG", "FATAL": "ERROR", "CRITICAL": "ERROR"}
# of Lambda's format and of the metrics' one: they have members of their own here, or say nothing to people
FORMAT = {"timestamp", "level", "message", "logger", "request_id", "requestId", "_aws"}
EXCEPTION = {"errorType", "errorMessage", "stackTrace", "location"}
# what Lambda writes of itself where its lines are texts
PLATFORM = ("START RequestId:", "END RequestId:", "REPORT RequestId:", "INIT_START ")
# how texts of failures begin: Python's own, Lambda's, and what Python writes between two tracebacks
TRACEBACK = "Traceback (most recent call last)"
FAILURES = (TRACEBACK, "[ERROR]", "During handling of the above exception", "The above exception was the direct cause")


class LogLine(Struct, kw_only=True):
    """fields: the line's own, see docs/logs.md. exception: kind and message; trace: where it was raised."""

    id: Annotated[str, Meta(description="of the line in its function's log; the same in each answer")]
    at: Annotated[str, Meta(description="UTC, to the millisecond")]
    function: str
    level: Annotated[
        str | None, Meta(description="null: a line that is neither the product's own nor of a traceback, as a crash's")
    ]
    message: str
    request_id: Annotated[str | None, Meta(description="of the call, as its answer names it")] = None
    invocation: Annotated[str | None, Meta(description="Lambda's number of the run that wrote the line")] = None
    fields: dict[str, Any] = {}
    exception: str | None = None
    trace: list[str] = []

    def concerns(self, model: str | None, level: str | None) -> bool:
        """Whether the line names the model, and is of the level or worse; None asks for nothing."""
        if model is not None and model not in (self.fields.get("model"), self.fields.get("name")):
            return False
        return level is None or (self.level in LEVELS and LEVELS.index(self.level) >= LEVELS.index(level))


class Reader:
    """Reads one function's log, line by line in its order: each line of a traceback may be an event of its own."""

    def __init__(self) -> None:
        self._in_traceback = set[str]()  # streams
        self._failed = dict[str, int]()  # by stream, when its last row of a failure was written, in milliseconds

    def read(self, identity: str, milliseconds: int, function: str, text: str, stream: str = "") -> LogLine | None:
        """A line from its text; None for what Lambda says of itself, which no line of ours depends on."""
        values = _values(text)
        if values is not None:
            self._end(stream)
            return _from_values(identity, milliseconds, function, values) if "message" in values else None
        if not text.strip():
            return None
        if text.startswith(PLATFORM):
            self._end(stream)
            return None
        level = "ERROR" if self._is_failure(text, milliseconds, stream) else None
        return LogLine(id=identity, at=as_time(milliseconds), function=function, level=level, message=text.rstrip())

    def _is_failure(self, text: str, milliseconds: int, stream: str) -> bool:
        """Whether a text is of a traceback: its beginning, its rows, which are indented, and the error at its end.

        An error's message may have more rows, of any kind: they are written at the same time.
        """
        begins, inside = text.startswith(FAILURES), stream in self._in_traceback
        if begins or not text[0].isspace():
            self._in_traceback.discard(stream)
        if text.startswith(TRACEBACK) and "\n" not in text.rstrip():
            self._in_traceback.add(stream)
        failed = begins or inside or self._failed.get(stream) == milliseconds
        if failed:
            self._failed[stream] = milliseconds
        return failed

    def _end(self, stream: str) -> None:
        self._in_traceback.discard(stream)
        self._failed.pop(stream, None)


def _from_values(identity: str, milliseconds: int, function: str, values: dict[str, Any]) -> LogLine:
    level = str(values.get("level", ""))
    return LogLine(
        id=identity,
        at=as_time(milliseconds),
        function=function,
        level=SAME.get(level, level) or None,
        message=str(values["message"]),
        request_id=_text(values.get("request_id")),
        invocation=_text(values.get("requestId")),
        fields={name: value for name, value in values.items() if name not in FORMAT | EXCEPTION},
        exception=f"{values['errorType']}: {values.get('errorMessage', '')}" if "errorType" in values else None,
        trace=[row for frame in values.get("stackTrace") or [] for row in str(frame).rstrip().splitlines()],
    )


def _values(text: str) -> dict[str, Any] | None:
    try:
        values = json.loads(text)
    except ValueError:
        return None
    return values if isinstance(values, dict) else None


def _text(value: Any) -> str | None:
    return str(value) if value else None


def as_time(milliseconds: int) -> str:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(milliseconds // 1000))
    return f"{seconds}.{milliseconds % 1000:03d}Z"
