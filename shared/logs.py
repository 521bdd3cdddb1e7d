"""A function's log: the standard library's `logging`, one JSON object per line, one level for all of it.

On Lambda the runtime writes the lines (LogFormat JSON in template.yaml), with the fields of `extra` beside its own.
Where it does not, on the embedded cloud, `configure` writes them in the same shape. Figures are in shared/metrics.py.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from typing import Any

# at DEBUG, the SDK would write session tokens into the log
OURS = ("shared", "functions")
# what every record has; all other attributes are fields from `extra`
PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "aws_request_id", "tenant_id"}


def level() -> str:
    """What the parameter LogLevel says: on Lambda in the first variable, on the embedded cloud in the second."""
    return os.environ.get("AWS_LAMBDA_LOG_LEVEL") or os.environ.get("AMAAS_LOG_LEVEL") or "INFO"


def configure() -> None:
    """Set up this process's log. To be called once, before anything is logged."""
    root = logging.getLogger()
    if os.environ.get("AWS_LAMBDA_LOG_FORMAT") != "JSON":
        writing = logging.StreamHandler(sys.stdout)
        writing.setFormatter(JsonLines())
        root.handlers = [writing]
    for handler in root.handlers:
        handler.setFormatter(Encodable(handler.formatter or logging.Formatter()))
    number = logging.getLevelNamesMapping().get(level(), logging.DEBUG)  # TRACE is no level of Python's
    root.setLevel(max(number, logging.WARNING))
    for name in OURS:
        logging.getLogger(name).setLevel(number)


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """What `extra` has added to a record."""
    return {name: value for name, value in vars(record).items() if name not in PLAIN}


class Encodable(logging.Formatter):
    """Another formatter's lines, as text that UTF-8 can carry.

    An event's JSON may hold half a surrogate pair, which Lambda's formatter passes on: writing it would raise, out of
    the logging call. In JSON, what stands here for it is an escape of the same.
    """

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        line = self._inner.format(record)
        return line if line.isascii() else line.encode("utf-8", "backslashreplace").decode()


class JsonLines(logging.Formatter):
    """The fields of Lambda's own JSON format."""

    def format(self, record: logging.LogRecord) -> str:
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "timestamp": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
            **fields(record),
        }
        if record.exc_info and record.exc_info[0]:
            line["errorType"] = record.exc_info[0].__name__
            line["errorMessage"] = str(record.exc_info[1])
            line["stackTrace"] = self.formatException(record.exc_info).splitlines()
        return json.dumps(line, default=str)
