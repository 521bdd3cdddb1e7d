"""What a function answers; and errors, as who called the path reads them, with the gateway's number of the call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from shared import errors

REPLAYED = {"Idempotent-Replayed": "true"}


class Response(Struct, frozen=True):
    """A response. body: bytes are sent as they are, anything else as JSON.

    parts: what is sent instead of a body, while it is made; its `finally` is where the call's work ends.
    """

    body: Any
    status: int = 200
    headers: dict[str, str] = {}
    parts: Iterator[bytes] | None = None


def as_response(answer: Any) -> Response:
    """What a handler returned: a Response, or a successful one's body."""
    return answer if isinstance(answer, Response) else Response(answer)


def refused(error: errors.AmaasError, path: str, request_id: str) -> Response:
    """Of an error that is expected."""
    retry = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    return Response(error.body(path, request_id), error.status, retry | _identified(request_id))


def failed(message: str, path: str, request_id: str) -> Response:
    """Of a fault of ours."""
    return Response(errors.body_for(path, 500, message, request_id=request_id), 500, _identified(request_id))


def kept(status: int, body: Any, replayed: bool, path: str, request_id: str) -> Response:
    """Of a call with an Idempotency-Key. Of an error, what was wrong is kept, and not in which call."""
    headers = REPLAYED if replayed else {}
    if status < errors.BadInput.status:
        return Response(body, status, headers)
    told = errors.body_for(path, status, body["error"], body.get("code", ""), request_id)
    return Response(told, status, headers | _identified(request_id))


def _identified(request_id: str) -> dict[str, str]:
    return {errors.REQUEST_ID: request_id} if request_id else {}
