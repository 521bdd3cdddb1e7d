"""Calls of the API, with the retries that are safe: what may be repeated is repeated, with jitter, and not for long."""

from __future__ import annotations

import random
import ssl
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any

import httpx

from amaas.errors import ApiError, NotConnected

IDEMPOTENT = {"GET", "HEAD", "PUT", "DELETE"}
PASSING = {502, 503, 504}
ATTEMPTS = 4
PAUSE = 0.25  # seconds before the second attempt at most; doubles with each
PATIENCE = 15.0  # a Retry-After beyond these seconds is left to the caller


@cache
def certificates() -> ssl.SSLContext:
    """Whom to trust. Reading the certificates takes 50 ms, which every httpx.Client would take anew."""
    return httpx.create_ssl_context()


def request(
    client: httpx.Client, method: str, path: str, *, repeat: bool | None = None, whole: bool = False, **options: Any
) -> Any:
    """The JSON of an answer, or an image's bytes. repeat: whether a failure may be tried again, as idempotent ones may.

    whole: the httpx.Response instead, for answers that are neither.

    A call that the service turned away (429) or that never left (no connection) was not carried out: it may always be
    tried again. Raises ApiError, NotConnected.
    """
    repeatable = method in IDEMPOTENT if repeat is None else repeat
    for attempt in range(ATTEMPTS):
        last = attempt == ATTEMPTS - 1
        try:
            answer = client.request(method, path, **options)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            if last or not (repeatable or isinstance(error, httpx.ConnectError)):
                raise _unreachable(client, error) from error
            time.sleep(backoff(attempt))
            continue
        if answer.is_success:
            return answer if whole else _content(client, answer)
        pause = _pause(answer, attempt)
        again = answer.status_code == 429 or (repeatable and answer.status_code in PASSING)
        if last or not again or pause > PATIENCE:
            raise ApiError(answer.status_code, _message(client, answer))
        time.sleep(pause)
    raise AssertionError("the last attempt returns or raises")


def stored(http: httpx.Client, url: str, what: str, was: str = "was") -> bytes:
    """What storage gives for a presigned URL. what, was: for the messages of NotConnected and ApiError."""
    try:
        answer = http.get(url)
    except httpx.TransportError as error:
        raise NotConnected(f"storage stopped answering while {what} {was} fetched: {error}") from error
    if not answer.is_success:
        raise ApiError(answer.status_code, f"storage did not give {what}: {answer.text[:200]}")
    return answer.content


def backoff(attempt: int) -> float:
    """Seconds to wait after an attempt, counted from 0: full jitter, so that many clients do not come back at once."""
    return random.uniform(0, PAUSE * 2**attempt)


def _pause(answer: httpx.Response, attempt: int) -> float:
    asked = _retry_after(answer.headers.get("retry-after", ""))
    return backoff(attempt) if asked is None else asked + random.uniform(0, PAUSE)


def _retry_after(value: str) -> float | None:
    """Seconds; the header holds them, or a date. None where it holds neither."""
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _content(client: httpx.Client, answer: httpx.Response) -> Any:
    if answer.headers.get("content-type", "").startswith("image/"):
        return answer.content
    try:
        return answer.json() if answer.content else {}
    except ValueError as error:
        raise NotConnected(f"{client.base_url} answers, but not as Amaas does: is the address right?") from error


def _message(client: httpx.Client, answer: httpx.Response) -> str:
    try:
        return str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        said = " ".join(answer.text.split())[:200]
        return f"{client.base_url} answered {answer.status_code}: {said or 'nothing'}; is the address right?"


def _unreachable(client: httpx.Client, error: Exception) -> NotConnected:
    if isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout):
        return NotConnected(f"{client.base_url} took too long to answer: try again")
    return NotConnected(
        f"{client.base_url} does not answer ({error}): is it up (`make run`), is the address right (--url, AMAAS_URL)?"
    )
