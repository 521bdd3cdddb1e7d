"""Tokens: `amaas_<id>_<secret>`. Only a salted hash of the secret is stored: who reads the bucket cannot log in.

The secret is 256 random bits from the operating system, so one round of salted SHA-256 is enough: there is nothing to
guess. A password hash would add tens of milliseconds to every cold call and no security.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from typing import Any

import msgspec
from msgspec import Struct

from shared import formats, keys
from shared.access import scopes as scope_rules
from shared.clock import now
from shared.errors import BadInput, NotFound, Unauthenticated, Unavailable
from shared.storage.base import Object, ObjectNotFound, PreconditionFailed, Store, list_all

TOKEN = re.compile(r"amaas_([a-z0-9]{12})_([A-Za-z0-9_-]{43})")
REFUSED = "this token is unknown, expired or revoked: send `Authorization: Bearer <token>` with a valid one"
MISSING = "no token: send `Authorization: Bearer <token>`; `amaas token create` creates one"


class Token(Struct, frozen=True, kw_only=True, tag_field="format", tag=1):
    """A stored token. salt and hash in hex; expires_at in seconds since the epoch, None: it does not expire.

    A member that narrows what a token permits needs the next format: a release that ignored it would permit too much.
    """

    id: str
    name: str
    scopes: list[str]
    salt: str
    hash: str
    created_at: str
    expires_at: float | None = None
    revoked: bool = False

    def public(self) -> dict[str, object]:
        """What the API shows: neither salt nor hash."""
        return {
            "id": self.id,
            "name": self.name,
            "scopes": self.scopes,
            "created_at": self.created_at,
            "expires_at": self.expires_at,
            "revoked": self.revoked,
        }


class Summary(Struct):
    """The members that can be listed of a token that a later release wrote, or that is damaged."""

    name: str = "?"
    scopes: list[str] = []
    created_at: str = ""
    revoked: bool = False


# created once, before any thread: see registry/state.py
DECODER = msgspec.json.Decoder(Token)
SUMMARY = msgspec.json.Decoder(Summary)
MEMBERS = msgspec.json.Decoder(dict[str, Any])


def create(store: Store, name: str, scopes: list[str], *, expires_in_days: float | None = None) -> tuple[Token, str]:
    """Create a token. Returns it with its plain text, which is not stored. Raises BadInput for an unknown scope."""
    if not scopes:
        raise BadInput(f"a token needs at least one scope: {', '.join(scope_rules.SCOPES)}")
    for scope in scopes:
        scope_rules.parse(scope)
    if expires_in_days is not None and not 0 < expires_in_days <= 3650:
        raise BadInput("expires_in_days must be above 0 and at most 3650")
    import secrets  # with random, for which no caller of another function has to wait

    identity, secret, salt = secrets.token_hex(6), secrets.token_urlsafe(32), secrets.token_hex(16)
    expires = time.time() + expires_in_days * 86400 if expires_in_days else None
    token = Token(
        id=identity, name=name, scopes=scopes, salt=salt, hash=_hash(salt, secret), created_at=now(), expires_at=expires
    )
    store.put(keys.token(identity), msgspec.json.encode(token), if_absent=True, content_type="application/json")
    return token, f"amaas_{identity}_{secret}"


def authenticate(store: Store, header: str | None) -> Token:
    """The token of an Authorization header. Raises Unauthenticated.

    The message is the same for an unknown, a revoked and an expired token, and for a wrong secret: a caller who guesses
    learns nothing.
    """
    scheme, _, text = (header or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not text.strip():
        raise Unauthenticated(MISSING)
    match = TOKEN.fullmatch(text.strip())
    if not match:
        raise Unauthenticated(REFUSED)
    try:
        token = _decode(_get(store, match[1]).body, match[1])
    except NotFound:
        raise Unauthenticated(REFUSED) from None
    except Unreadable as error:
        raise Unauthenticated(str(error)) from error
    # compared in constant time: the time must not tell how many characters are right
    valid = hmac.compare_digest(token.hash, _hash(token.salt, match[2]))
    if not valid or token.revoked or (token.expires_at is not None and token.expires_at < time.time()):
        raise Unauthenticated(REFUSED)
    return token


class Unreadable(Unavailable):
    """A stored token is damaged, or in the format of a later release."""


def _get(store: Store, identity: str) -> Object:
    """Raises NotFound."""
    try:
        return store.get(keys.token(identity))
    except ObjectNotFound:
        raise NotFound(f"there is no token {identity!r}: GET /tokens lists them") from None


def _decode(body: bytes, identity: str) -> Token:
    """Raises Unreadable."""
    try:
        return formats.decode(DECODER, body, f"token {identity}")
    except Unavailable as error:
        raise Unreadable(f"{error}; or revoke it and create another one") from error


def read(store: Store, identity: str) -> Token:
    """Raises NotFound, Unavailable."""
    return _decode(_get(store, identity).body, identity)


def revoke(store: Store, identity: str) -> Token:
    """Revoke a token. It stays stored: who had access, and when, is part of the audit. Raises NotFound, Unavailable.

    A token of a later release can be revoked, too: members that are unknown here are written back unchanged.
    """
    while True:
        present = _get(store, identity)
        try:
            members = MEMBERS.decode(present.body)
        except formats.DAMAGED as error:
            raise Unavailable(f"token {identity!r} is damaged and gives no access: {error}") from error
        body = msgspec.json.encode(members | {"revoked": True})
        try:
            store.put(keys.token(identity), body, if_match=present.etag)
            return _summarize(body, identity)
        except PreconditionFailed:
            continue  # another call changed the token: read it again


def list_tokens(store: Store) -> list[Token]:
    """All tokens: revoked and expired ones, and those that this release cannot read, too."""
    names = [info.key for info in list_all(store, keys.TOKENS)]
    return [_summarize(store.get(name).body, name.rpartition("/")[2].removesuffix(".json")) for name in names]


def _summarize(body: bytes, identity: str) -> Token:
    """The token, or what can be read of it; that one opens nothing, since no secret has an empty hash."""
    try:
        return _decode(body, identity)
    except Unreadable:
        pass
    try:
        summary = SUMMARY.decode(body)
    except formats.DAMAGED:
        summary = Summary()
    return Token(
        id=identity,
        name=f"{summary.name} (unusable: written by a later release, or damaged)",
        scopes=summary.scopes,
        salt="",
        hash="",
        created_at=summary.created_at,
        revoked=summary.revoked,
    )


def _hash(salt: str, secret: str) -> str:
    return hashlib.sha256(bytes.fromhex(salt) + secret.encode()).hexdigest()
