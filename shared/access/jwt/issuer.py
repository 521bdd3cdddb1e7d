"""The keys of an issuer of JWTs, by OpenID Connect Discovery: fetched when needed, remembered, and kept in an outage.

A call waits for the issuer only when this process has no keys, when they are old, or when a token names a key that is
not among them, as after the issuer changed its keys; then at most once in PAUSE seconds, and FETCH seconds at a time.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from shared import deadline
from shared.access.jwt import signed
from shared.access.jwt.signed import PublicKey
from shared.errors import Unauthenticated, Unavailable
from shared.formats import DAMAGED

if TYPE_CHECKING:
    from http.client import HTTPConnection

logger = logging.getLogger(__name__)
DISCOVERY = "/.well-known/openid-configuration"
FRESH = 3600.0  # seconds after which keys are fetched again
STALE = 86400.0  # seconds for which keys are used while the issuer does not answer
PAUSE = 30.0  # seconds between two attempts
FETCH = 3.0  # seconds for discovery and keys together
LARGEST = 256 * 1024  # bytes of an answer
ADDRESS = re.compile(r"(https?)://([A-Za-z0-9.-]+)(?::(\d{1,5}))?(/[A-Za-z0-9._~/%-]*)?", re.ASCII)
LOOPBACK = ("127.0.0.1", "localhost")

Fetch = Callable[[str, float], bytes]


class Configuration(Struct, frozen=True):
    """What is read of the discovery document."""

    issuer: str
    jwks_uri: str


CONFIGURATION = msgspec.json.Decoder(Configuration)


class Issuer:
    """address: as in the claim `iss`. fetch: an address and seconds → its body; raises OSError, ValueError.

    endpoint_url: of an embedded cloud, where an issuer without TLS is taken, if both are on the loopback interface.
    """

    def __init__(
        self,
        address: str,
        endpoint_url: str | None = None,
        fetch: Fetch | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises Unavailable for an address that is not to be trusted."""
        self.address = address
        self._insecure = _host(endpoint_url or "") in LOOPBACK
        self._fetch = fetch or fetch_bounded
        self._clock = clock
        self._keys: dict[str, PublicKey] = {}
        self._fetched: float | None = None
        self._attempted: float | None = None
        try:
            self._require_safe(address)
        except ValueError as error:
            raise Unavailable(f"JwtIssuer cannot be used: {error}; deploy with another one") from error

    def key(self, identity: str) -> PublicKey:
        """Raises Unauthenticated for a key that the issuer does not have; Unavailable while that cannot be known."""
        age = None if self._fetched is None else self._clock() - self._fetched
        if age is None or age > FRESH or identity not in self._keys:
            self._refresh()
        if self._fetched is None or self._clock() - self._fetched > STALE:
            raise Unavailable("the issuer of the token does not answer: try again")
        if identity not in self._keys:
            raise Unauthenticated("the JWT's key is none of its issuer's")
        return self._keys[identity]

    def _refresh(self) -> None:
        """Fetch the keys, unless that was tried just now. Those that are known stay if it fails."""
        if self._attempted is not None and self._clock() - self._attempted < PAUSE:
            return
        self._attempted = self._clock()
        try:
            self._keys = self._fetch_keys()
            self._fetched = self._clock()
        except (OSError, ValueError) as error:
            logger.warning("the issuer's keys were not fetched", extra={"why": str(error)[:200]})

    def _fetch_keys(self) -> dict[str, PublicKey]:
        left = deadline.remaining()
        end = time.monotonic() + (FETCH if left is None else min(FETCH, left))
        body = self._fetch(self.address.rstrip("/") + DISCOVERY, end - time.monotonic())
        try:
            configuration = CONFIGURATION.decode(body)
        except DAMAGED as error:
            raise ValueError("its discovery document cannot be read") from error
        if configuration.issuer != self.address:
            raise ValueError("its discovery document is another issuer's")
        self._require_safe(configuration.jwks_uri)
        keys = signed.read_keys(self._fetch(configuration.jwks_uri, end - time.monotonic()))
        if not keys:
            raise ValueError("it has no key for RS256 or ES256")
        return keys

    def _require_safe(self, address: str) -> None:
        """Raises ValueError."""
        match = ADDRESS.fullmatch(address)
        if match is None:
            raise ValueError("an issuer's address is https://HOST/PATH, without a query")
        if match[1] != "https" and not (self._insecure and match[2] in LOOPBACK):
            raise ValueError("an issuer's address begins with https://")


def _host(address: str) -> str | None:
    match = ADDRESS.fullmatch(address)
    return match[2] if match else None


def fetch_bounded(address: str, seconds: float) -> bytes:
    """The body at an address: no redirects, LARGEST bytes and `seconds` at most. Raises OSError, ValueError."""
    from http.client import HTTPException  # with TLS, for the few calls that fetch keys

    from shared import outgoing

    match = ADDRESS.fullmatch(address)
    if match is None or seconds <= 0:
        raise ValueError("there was no time left, or the address is none")
    port = int(match[3]) if match[3] else None
    connection = outgoing.connection(match[2], port, seconds, secure=match[1] == "https")
    path = match[4] or "/"
    try:
        return outgoing.within(seconds, connection, lambda opened: _read_body(opened, path))
    except TimeoutError as error:
        raise ValueError("its answer takes too long") from error
    except HTTPException as error:
        raise ValueError(f"its answer cannot be read: {type(error).__name__}") from error


def _read_body(connection: HTTPConnection, path: str) -> bytes:
    connection.request("GET", path, headers={"Accept": "application/json"})
    response = connection.getresponse()
    if response.status != 200:
        raise ValueError(f"it answered {response.status}")
    body = response.read(LARGEST + 1)
    if len(body) > LARGEST:
        raise ValueError("its answer is too long")
    return body
