"""HTTP requests with the retries that are safe: idempotent requests only, with jitter, and not for long."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from amaas.api import certificates, network
from amaas.errors import AmaasError, ApiError, NotConnected

IDEMPOTENT = {"GET", "HEAD", "PUT", "DELETE"}
TEMPORARY = {502, 503, 504}
ATTEMPTS = 4
BACKOFF = 0.25  # upper limit of the pause before the second attempt, in seconds; it doubles with each
SHORTEST = 0.001  # seconds of an attempt; none would mean without end
LONGEST_WAIT = 15.0  # a Retry-After beyond these seconds is left to the caller
REQUEST_ID = "x-amzn-requestid"  # of the gateway, where the body has none


def request(
    http: httpx.Client,
    method: str,
    path: str,
    *,
    retry: bool | None = None,
    raw: bool = False,
    longest: float = math.inf,
    timeout: float | None = None,
    **options: Any,
) -> Any:
    """The response's JSON, or the bytes of an image; with `raw`, the httpx.Response itself.

    retry: whether a failed attempt may be repeated; by default, if the method is idempotent. A request that the
    service turned away (429) or that never left (no connection) was not carried out: it is always repeated. longest:
    seconds; an attempt that took longer is not repeated, as another one would, too. timeout: seconds for all attempts
    and the pauses between them; by default those of `http`. options: of httpx.Client.build_request.
    Raises ApiError, NotConnected.
    """
    repeatable = method in IDEMPOTENT if retry is None else retry
    check_headers(options.get("headers"))

    def send(left: float) -> httpx.Response:
        bound = {network.DEADLINE: time.monotonic() + left}
        return http.send(http.build_request(method, path, timeout=left, extensions=bound, **options))

    response = _attempted(http, send, repeatable, longest, timeout)
    return response if raw else content(http, response)


def opened(
    http: httpx.Client,
    method: str,
    path: str,
    *,
    longest: float = math.inf,
    timeout: float | None = None,
    **options: Any,
) -> httpx.Response:
    """A successful response whose body is still to be read, and closed. Until there is one, attempts are repeated.

    longest, timeout: as above; of the body, the timeout is for each part. Raises as request does.
    """
    check_headers(options.get("headers"))

    def send(left: float) -> httpx.Response:
        response = http.send(http.build_request(method, path, timeout=left, **options), stream=True)
        if not response.is_success:
            with closing(response):
                response.read()
        return response

    return _attempted(http, send, True, longest, timeout)


def check_headers(headers: Mapping[str, Any] | None) -> None:
    """Raises AmaasError for a value that a header cannot have."""
    for name, value in (headers or {}).items():
        if not (isinstance(value, str) and value.isascii() and value.isprintable() and value == value.strip()):
            raise AmaasError(
                f"{str(value)[:100]!r} cannot be sent as the header {name}: give a text of ASCII, without line breaks "
                "and without blanks at its ends"
            )


def _attempted(
    http: httpx.Client,
    send: Callable[[float], httpx.Response],
    repeatable: bool,
    longest: float,
    timeout: float | None,
) -> httpx.Response:
    """A successful response. send: gets the seconds that are left for it. Raises ApiError, NotConnected."""
    deadline = time.monotonic() + (http.timeout.read or math.inf if timeout is None else timeout)
    for attempt in range(ATTEMPTS):
        begun = time.monotonic()
        last = attempt == ATTEMPTS - 1
        if http.is_closed:
            raise AmaasError("the client is closed: make another, or call it within its `with`")
        try:
            response = send(max(deadline - begun, SHORTEST))
        except (httpx.RequestError, httpx.InvalidURL) as error:
            pause = backoff(attempt)
            last = last or time.monotonic() - begun > longest or time.monotonic() + pause > deadline
            if last or not _may_repeat_after(error, repeatable):
                raise _unreachable(http, error) from error
            time.sleep(pause)
            continue
        if response.is_success:
            return response
        last = last or time.monotonic() - begun > longest
        pause = _pause(response, attempt)
        last = last or pause > LONGEST_WAIT or time.monotonic() + pause > deadline
        if last or not _may_repeat(response, repeatable):
            raise refusal(response, _message(http, response))
        time.sleep(pause)
    raise AssertionError("the last attempt returns or raises")


def _may_repeat_after(error: Exception, repeatable: bool) -> bool:
    """After a time-out, the service may still be at work on it: another attempt would only add to that."""
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return True
    return repeatable and not isinstance(error, httpx.TimeoutException)


def refusal(response: httpx.Response, message: str) -> ApiError:
    """The error of an answer, with what the service says of it for programs."""
    try:
        body = response.json()
    except (ValueError, RecursionError):
        body = None
    body = body if isinstance(body, dict) else {}
    detail = body["error"] if isinstance(body.get("error"), dict) else body  # of the routes below /v1
    code, request_id = detail.get("code"), body.get("request_id") or response.headers.get(REQUEST_ID)
    return ApiError(
        response.status_code,
        message,
        code=code if isinstance(code, str) else None,
        request_id=request_id if isinstance(request_id, str) else None,
    )


def download(http: httpx.Client, url: str, name: str) -> bytes:
    """The object at a presigned URL. name: for the messages of NotConnected and ApiError."""
    try:
        response = http.get(url)
    except (httpx.RequestError, httpx.InvalidURL) as error:
        raise NotConnected(f"storage stopped answering during the download of {name}: {error}; try again") from error
    if not response.is_success:
        raise refusal(response, f"storage refused the download of {name}: {response.text[:200]}")
    return response.content


def download_blocks(http: httpx.Client, url: str, name: str, size: int) -> Iterator[bytes]:
    """As download, in blocks of at most `size` bytes: of files that need not fit into memory."""
    try:
        with http.stream("GET", url) as response:
            if not response.is_success:
                response.read()
                raise refusal(response, f"storage refused the download of {name}: {response.text[:200]}")
            yield from response.iter_bytes(size)
    except (httpx.RequestError, httpx.InvalidURL) as error:
        raise NotConnected(f"storage stopped answering during the download of {name}: {error}; try again") from error


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
        answer = response.json() if response.content else {}
    except (ValueError, RecursionError) as error:
        raise strange(http) from error
    if not isinstance(answer, dict):
        raise strange(http)
    return answer


def strange(http: httpx.Client) -> NotConnected:
    """The error of an answer that Amaas does not give."""
    return NotConnected(f"{http.base_url} answers, but not as Amaas does: is the address right?")


def _message(http: httpx.Client, response: httpx.Response) -> str:
    try:
        error = response.json()["error"]
        message = error["message"] if isinstance(error, dict) else error  # of the routes below /v1
        if message and isinstance(message, str):
            return message
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    if response.has_redirect_location:
        elsewhere = response.headers["location"][:200]
        return f"{http.base_url} answered {response.status_code}, and sends to {elsewhere!r}: is that the address?"
    text = " ".join(response.text.split())[:200]
    return f"{http.base_url} answered {response.status_code}: {text or 'an empty body'}; is the address right?"


def _unreachable(http: httpx.Client, error: Exception) -> NotConnected:
    if isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout):
        return NotConnected(f"{http.base_url} took too long to answer: try again")
    return NotConnected(f"{http.base_url} does not answer ({error}): {_advice(http.base_url, str(error))}")


def _advice(url: httpx.URL, reason: str) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        where = certificates.source()
        now = f"those in {where}" if where else "those that are public"
        return (
            f"its certificate is not of one of the trusted authorities, now {now}; SSL_CERT_FILE names a file of others"
        )
    proxy = network.proxy_to(url)
    if proxy is not None:
        return f"it is called through the proxy that {proxy.source} names; NO_PROXY={url.host} calls it without"
    return "is it up (`make run`), is the address right (--url, AMAAS_URL)?"
