"""Log lines of functions on the path of an answer: JSON, in the fields of Powertools' Logger without its import.

Not for functions that nobody waits for: those use Powertools itself.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from functools import lru_cache
from typing import Any

import msgspec


class Lines:
    """Writes lines of one service to the function's log. Values that JSON does not have are written as text."""

    def __init__(self, service: str) -> None:
        self._service = service

    def info(self, message: str, **fields: Any) -> None:
        self._write("INFO", message, fields)

    def exception(self, message: str, **fields: Any) -> None:
        """To be called while an exception is handled: the line says where it came from."""
        kind, error, _ = sys.exc_info()
        told = {"exception": traceback.format_exc(), "exception_name": kind.__name__ if kind else None}
        self._write("ERROR", message, fields | told | {"exception_message": str(error)[:1000]})

    def _write(self, level: str, message: str, fields: dict[str, Any]) -> None:
        now = time.time()
        stamp = f"{_second(int(now))}.{int(now * 1000) % 1000:03d}Z"
        line = {"level": level, "message": message, "timestamp": stamp, "service": self._service, **fields}
        # one write per line: those of several threads must not be mixed
        sys.stdout.write(_text(line) + "\n")
        sys.stdout.flush()


@lru_cache(maxsize=1)
def _second(now: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))


def _text(line: dict[str, Any]) -> str:
    try:
        return msgspec.json.encode(line, enc_hook=str).decode()
    except UnicodeEncodeError:  # half a surrogate pair, which an event's JSON may hold
        return json.dumps(
            line, default=lambda value: json.loads(value) if isinstance(value, msgspec.Raw) else str(value)
        )
