"""Who is calling: from the header of a request to a token. Every first caller waits for this, so it imports little."""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from shared import deadline, keys
from shared.access import scopes as scope_rules
from shared.access.records import UNSIGNED, Seals, Token, Unusable, decode, revoked_since
from shared.access.usage import Usage
from shared.errors import BadInput, Unauthenticated
from shared.storage.base import ObjectNotFound, Store

TOKEN = re.compile(r"amaas_([a-z0-9]{12})_([A-Za-z0-9_-]{43})")
REFUSED = "this token is unknown, expired or revoked: send `Authorization: Bearer <token>` with a valid one"
MISSING = "no token: send `Authorization: Bearer <token>`; `amaas token create` creates one"
Result = TypeVar("Result")


class _Started(Generic[Result]):
    """A call that runs in a thread of its own, as concurrent.futures would, which takes 10 ms to import."""

    def __init__(self, call: Callable[[], Result]) -> None:
        self._call = call
        self._result: Result | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=deadline.carry(self._run), daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result = self._call()
        except Exception as error:
            self._error = error

    def result(self) -> Result | None:
        """Wait for the call's result. Raises what it raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._result


def authenticate(store: Store, header: str | None, seals: Seals = UNSIGNED, usage: Usage | None = None) -> Token:
    """The token of an Authorization header. Raises Unauthenticated, Unavailable.

    The message is the same for an unknown, a revoked and an expired token, and for a wrong secret: a caller who guesses
    learns nothing. usage: where to note the token's use.
    """
    identity, secret = _parse(header)
    revocation = _Started(lambda: _read_marks(store, identity, usage))
    try:
        body = store.get(keys.token(identity)).body
    except ObjectNotFound:
        raise Unauthenticated(REFUSED) from None
    token = _valid(body, identity, secret, seals)
    mark = revocation.result()
    if mark is not None and revoked_since(mark, identity, seals) <= time.time():
        raise Unauthenticated(REFUSED)
    if usage is not None:
        usage.note(store, identity)
    return token


def require_not_revoked(store: Store, identity: str, seals: Seals) -> None:
    """Raises Unauthenticated, Unavailable."""
    mark = _read_marks(store, identity, None)
    if mark is not None and revoked_since(mark, identity, seals) <= time.time():
        raise Unauthenticated(REFUSED)


def _parse(header: str | None) -> tuple[str, str]:
    """The id and the secret in an Authorization header. Raises Unauthenticated."""
    scheme, _, text = (header or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not text.strip():
        raise Unauthenticated(MISSING)
    match = TOKEN.fullmatch(text.strip())
    if not match:
        raise Unauthenticated(REFUSED)
    return match[1], match[2]


def _read_marks(store: Store, identity: str, usage: Usage | None) -> bytes | None:
    """What is stored beside a token's record: its revocation, if there is one; the day of its last use is noted."""
    if usage is not None:
        usage.look_up(store, identity)
    try:
        return store.get(keys.token(identity, keys.REVOKED)).body
    except ObjectNotFound:
        return None


def _valid(body: bytes, identity: str, secret: str, seals: Seals) -> Token:
    """The token of a record. Raises Unauthenticated."""
    try:
        token = decode(body, identity, seals)
        scope_rules.normalize(token.scopes)
        matches = hmac.compare_digest(token.hash, hash_secret(token.salt, secret))
    except Unusable as error:
        raise Unauthenticated(str(error)) from error
    except (BadInput, ValueError) as error:  # which quotes what is stored, and the log does not
        raise Unauthenticated(f"token {identity} has scopes or a salt that do not fit: see GET /tokens") from error
    # compared in constant time: the time must not tell how many characters are right
    if not matches or token.revoked or (token.expires_at is not None and token.expires_at < time.time()):
        raise Unauthenticated(REFUSED)
    return token


def hash_secret(salt: str, secret: str) -> str:
    """One round: the secret is 256 random bits, so there is nothing to guess, and a slow hash adds no security."""
    return hashlib.sha256(bytes.fromhex(salt) + secret.encode()).hexdigest()
