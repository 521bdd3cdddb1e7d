"""A signed POST to an address that an operator set, and that may hang: bounded in time, whatever the other side does.

The signature is an HMAC-SHA256 over the time, a dot and the body, by the secret that the receiver has as well:

    X-Amaas-Signature: t=1764324000,v1=5257a869…

A receiver computes it anew, compares in constant time, and refuses times that are more than some minutes off. Messages
can come twice: each has an `id`.
"""

from __future__ import annotations

import hmac
import time
from http.client import HTTPConnection, HTTPException
from urllib.parse import SplitResult, urlsplit

from shared import outgoing
from shared.errors import BadInput, Unavailable

SECONDS = 3.0  # for one attempt: name, connection, answer's head
ATTEMPTS = 3
PAUSE = 0.5  # seconds before the second attempt; doubles
LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def send(url: str, secret: str, body: bytes) -> None:
    """POST a JSON body; redirects are not followed. Raises Unavailable unless the answer is 2xx, and as check does."""
    address = check(url)
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE * 2 ** (attempt - 1))
        problem = _attempt(address, headers(secret, body, int(time.time())), body)
        if problem is None:
            return
    raise Unavailable(f"the webhook {address.hostname} {problem}, {ATTEMPTS} times")


def check(url: str) -> SplitResult:
    """An address that messages may be sent to. Raises BadInput."""
    parts = urlsplit(url)
    local = parts.scheme == "http" and parts.hostname in LOOPBACK
    if not parts.hostname or parts.username is not None or not (local or parts.scheme == "https"):
        raise BadInput("the webhook's address has to begin with https://, without a user's name in it")
    return parts


def headers(secret: str, body: bytes, at: int) -> dict[str, str]:
    """at: seconds since the epoch."""
    digest = hmac.digest(secret.encode(), f"{at}.".encode() + body, "sha256").hex()
    return {"Content-Type": "application/json", "User-Agent": "amaas", "X-Amaas-Signature": f"t={at},v1={digest}"}


def _attempt(address: SplitResult, head: dict[str, str], body: bytes) -> str | None:
    """What went wrong; None if nothing did."""
    connection = outgoing.connection(address.hostname or "", address.port, SECONDS, secure=address.scheme == "https")
    path = (address.path or "/") + (f"?{address.query}" if address.query else "")

    def post(opened: HTTPConnection) -> int:
        opened.request("POST", path, body, head)
        return opened.getresponse().status

    try:
        status = outgoing.within(SECONDS, connection, post)
    except TimeoutError:
        return f"did not answer within {SECONDS:g} s"
    except (OSError, HTTPException) as error:
        return f"could not be reached ({type(error).__name__})"
    except Exception as error:  # of an address that Python's client does not take
        return f"failed ({type(error).__name__})"
    return None if 200 <= status < 300 else f"answered {status}"
