"""HTTP requests with the retries that are safe: idempotent requests only, with jitter, and not for long."""

from __future__ import annotations

import math
import random
import ssl
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any

import httpx

from amaas.errors import ApiError, NotConnected

IDEMPOTENT = {"GET", "HEAD", "PUT", "DELETE"}
TEMPORARY = {502, 503, 504}
ATTEMPTS = 4
BACKOFF = 0.25  # upper limit of the pause before the second attempt, in seconds; it doubles with each
LONGEST_WAIT = 15.0  # a Retry-After beyond these seconds is left to the caller


@cache
def certificates() -> ssl.SSLContext:
    """The trusted certificates. Reading them takes 50 ms, which every httpx.Client would spend anew."""
    return httpx.create_ssl_context()


def request(
    http: httpx.Client,
    method: str,
    path: str,
    *,
    retry: bool | None = None,
    raw: bool = False,
    longest: float = math.inf,
    **options: Any,
) -> Any:
    """The response's JSON, or the bytes of an image; with `raw`, the httpx.Response itself.

    retry: whether a failed attempt may be repeated; by default, if the method is idempotent. A request that the
    service turned away (429) or that never left (no connection) was not carried out: it is always repeated. longest:
    seconds; an attempt that took longer is not repeated, as another one would, too. options: of httpx.Client.request.
    Raises ApiError, NotConnected.
    """
    repeatable = method in IDEMPOTENT if retry is None else retry
    response = _attempted(http, lambda: http.request(method, path, **options), repeatable, longest)
    return response if raw else content(http, response)


def opened(http: httpx.Client, method: str, path: str, *, longest: float = math.inf, **options: Any) -> httpx.Response:
    """A successful response whose body is still to be read, and closed. Until there is one, attempts are repeated.

    longest: as above. options: of httpx.Client.build_request. Raises as request does.
    """

    def send() -> httpx.Response:
        response = http.send(http.build_request(method, path, **options), stream=True)
        if not response.is_success:
            with closing(response):
                response.read()
        return response

    return _attempted(http, send, True, longest)


def _attempted(
    http: httpx.Client, send: Callable[[], httpx.Response], repeatable: bool, longest: float
) -> httpx.Response:
    """A successful response. Raises ApiError, NotConnected."""
    for attempt in range(ATTEMPTS):
        begun = time.monotonic()
        last = attempt == ATTEMPTS - 1
        try:
            response = send()
        except (httpx.TransportError, httpx.InvalidURL) as error:
            last = last or time.monotonic() - begun > longest
            if last or not (repeatable or isinstance(error, httpx.ConnectError)):
                raise _unreachable(http, error) from error
            time.sleep(backoff(attempt))
            continue
        if response.is_success:
            return response
        last = last or time.monotonic() - begun > longest
        pause = _pause(response, attempt)
        if last or not _may_repeat(response, repeatable) or pause > LONGEST_WAIT:
            raise ApiError(response.status_code, _message(http, response))
        time.sleep(pause)
    raise AssertionError("the last attempt returns or raises")


def download(http: httpx.Client, url: str, name: str) -> bytes:
    """The object at a presigned URL. name: for the messages of NotConnected and ApiError."""
    try:
        response = http.get(url)
    except httpx.TransportError as error:
        raise NotConnected(f"storage stopped answering during the download of {name}: {error}; try again") from error
    if not response.is_success:
        raise ApiError(response.status_code, f"storage refused the download of {name}: {response.text[:200]}")
    return response.content


def backoff(attempt: int) -> float:
    """Seconds to wait after an attempt, counted from 0: full jitter, so that many clients do not return at once."""
    return random.uniform(0, BACKOFF * 2**attempt)


def _may_repeat(response: httpx.Response, repeatable: bool) -> bool:
    # a conflict that says when to come back: an earlier attempt, whose reply was lost, is still being carried out
    in_progress = response.status_code == 409 and "retry-after" in response.headers
    return response.status_code == 429 or (repeatable and (response.status_code in TEMPORARY or in_progress))


def _pause(response: httpx.Response, attempt: int) -> float:
    seconds = _retry_after(response.headers.get("retry-after", ""))
    return backoff(attempt) if seconds is None else seconds + random.uniform(0, BACKOFF)


def _retry_after(header: str) -> float | None:
    """Seconds; the header holds them, or a date. None if it holds neither."""
    if header.strip().isdecimal():
        return float(header)
    try:
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def content(http: httpx.Client, response: httpx.Response) -> Any:
    """A response's JSON, or the bytes of an image."""
    if response.headers.get("content-type", "").startswith("image/"):
        return response.content
    try:
        return response.json() if response.content else {}
    except ValueError as error:
        raise NotConnected(f"{http.base_url} answers, but not as Amaas does: is the address right?") from error


def _message(http: httpx.Client, response: httpx.Response) -> str:
    try:
        error = response.json()["error"]
        return str(error["message"] if isinstance(error, dict) else error)  # of the routes below /v1
    except (ValueError, KeyError, TypeError):
        text = " ".join(response.text.split())[:200]
        return f"{http.base_url} answered {response.status_code}: {text or 'an empty body'}; is the address right?"


def _unreachable(http: httpx.Client, error: Exception) -> NotConnected:
    if isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout):
        return NotConnected(f"{http.base_url} took too long to answer: try again")
    return NotConnected(
        f"{http.base_url} does not answer ({error}): is it up (`make run`), is the address right (--url, AMAAS_URL)?"
    )
