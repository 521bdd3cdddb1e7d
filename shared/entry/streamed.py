"""Answers that are sent while they are made: a handler returns one in place of API Gateway's proxy format.

Whoever sends one calls `close` when it is over, however it is over: a client that leaves ends the work for it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from shared.entry import proxy
from shared.errors import AmaasError

logger = logging.getLogger(__name__)
_streams = False  # of this process


class BrokenOff(Exception):
    """Ends an answer whose last part says that it broke off, and why: a fault, of which the client is told in words.

    Its cause is the error.
    """


class Streamed(Struct, frozen=True):
    """status and headers are sent with the first part; so while there is none, the call can still fail as a whole.

    parts: usually a generator. An empty first part has the headers sent at once. headers: without Content-Length.
    """

    status: int
    headers: dict[str, str]
    parts: Iterator[bytes]

    def close(self) -> None:
        """End the making of parts: a generator comes to its `finally`. Raises what is raised there."""
        close = getattr(self.parts, "close", None)
        if close is not None:
            close()


def buffered(streamed: Streamed) -> dict[str, Any]:
    """The whole answer in API Gateway's proxy format, for where nothing streams. Raises what making a part raises."""
    try:
        body = b"".join(streamed.parts)
    finally:
        streamed.close()
    names = {name.lower(): value for name, value in streamed.headers.items()}
    kind = names.get("content-type", "")
    is_text = (kind.startswith("text/") or "json" in kind) and "content-encoding" not in names
    text = body.decode() if is_text else proxy.to_base64(body)
    return {
        "statusCode": streamed.status,
        "headers": streamed.headers,
        "body": text,
        "isBase64Encoded": not is_text,
    }


def note_break(error: Exception, event: Mapping[str, Any]) -> Exception:
    """Log why an answer broke off; returns what it was, without what told the client of it."""
    problem = error.__cause__ if isinstance(error, BrokenOff) and isinstance(error.__cause__, Exception) else error
    extra = {"request_id": event.get("requestContext", {}).get("requestId", "?"), "error": type(problem).__name__}
    # the words of an expected one may be a caller's, or a model's: the log has none of these
    logger.error("broken off", extra=extra, exc_info=None if isinstance(problem, AmaasError) else error)
    return problem


def answer(streamed: Streamed, broken: dict[str, Any]) -> Streamed | dict[str, Any]:
    """What a handler returns: the parts where this process can send them, else all at once; `broken` if that fails."""
    if streams_here():
        return streamed
    try:
        return buffered(streamed)
    except Exception:  # whoever makes the parts has logged it
        return broken


def streams_here() -> bool:
    """Whether a handler of this process may return a Streamed: only the loop in runtime_loop.py knows what it is."""
    return _streams


def begin_to_stream() -> None:
    """To be called once, by the loop that sends answers of this process."""
    global _streams
    _streams = True
