"""Tokens: `amaas_<id>_<secret>`. Only a salted hash of the secret is stored, so that a leaked bucket opens nothing.

The secret has 256 bits from the system's generator, so one round of salted SHA-256 is enough: there is no dictionary
to try. A password hash would cost every cold call tens of milliseconds and gain nothing.
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
MISSING = "no token: send `Authorization: Bearer <token>`; `amaas token create` makes one"


class Token(Struct, frozen=True, kw_only=True, tag_field="format", tag=1):
    """What is stored of a token. salt and hash in hex; expires_at in seconds since the epoch, or None.

    A member that makes a token open less is the next format: who ignored it would let too much pass.
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
        return {
            "id": self.id,
            "name": self.name,
            "scopes": self.scopes,
            "created_at": self.created_at,
            "expires_at": self.expires_at,
            "revoked": self.revoked,
        }


class Listed(Struct):
    """What can be listed of a token that a later release made, or that is damaged."""

    name: str = "?"
    scopes: list[str] = []
    created_at: str = ""
    revoked: bool = False


# made once, before any thread: see registry/state.py
DECODER = msgspec.json.Decoder(Token)
LISTED = msgspec.json.Decoder(Listed)
MEMBERS = msgspec.json.Decoder(dict[str, Any])


def create(store: Store, name: str, scopes: list[str], *, expires_in_days: float | None = None) -> tuple[Token, str]:
    """Make a token; the second value is the only copy of its plain text. Raises BadInput for a scope there is not."""
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
    """The token that an Authorization header carries. Raises Unauthenticated, the same for every reason to refuse."""
    scheme, _, text = (header or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not text.strip():
        raise Unauthenticated(MISSING)
    match = TOKEN.fullmatch(text.strip())
    if not match:
        raise Unauthenticated(REFUSED)
    try:
        token = _decoded(_stored(store, match[1]).body, match[1])
    except NotFound:
        raise Unauthenticated(REFUSED) from None
    except Unreadable as error:
        raise Unauthenticated(str(error)) from error
    valid = hmac.compare_digest(token.hash, _hash(token.salt, match[2]))
    if not valid or token.revoked or (token.expires_at is not None and token.expires_at < time.time()):
        raise Unauthenticated(REFUSED)
    return token


class Unreadable(Unavailable):
    """What is stored of a token is damaged, or a later release's."""


def _stored(store: Store, identity: str) -> Object:
    try:
        return store.get(keys.token(identity))
    except ObjectNotFound:
        raise NotFound(f"there is no token {identity!r}: GET /tokens lists them") from None


def _decoded(body: bytes, identity: str) -> Token:
    """Raises Unreadable."""
    try:
        return formats.decode(DECODER, body, f"token {identity}")
    except Unavailable as error:
        raise Unreadable(f"{error}; or revoke it and make another one") from error


def read(store: Store, identity: str) -> Token:
    """Raises NotFound, Unavailable."""
    return _decoded(_stored(store, identity).body, identity)


def revoke(store: Store, identity: str) -> Token:
    """Revoked tokens stay listed: who had access, and when, is part of the audit.

    A token of a later release can be revoked, too: what is not known of it is written back as it was.
    """
    while True:
        present = _stored(store, identity)
        try:
            members = MEMBERS.decode(present.body)
        except formats.DAMAGED as error:
            raise Unavailable(f"token {identity!r} is damaged, and opens nothing: {error}") from error
        body = msgspec.json.encode(members | {"revoked": True})
        try:
            store.put(keys.token(identity), body, if_match=present.etag)
            return _listed(body, identity)
        except PreconditionFailed:
            continue


def every(store: Store) -> list[Token]:
    """All tokens, those that cannot be read here among them."""
    names = [info.key for info in list_all(store, keys.TOKENS)]
    return [_listed(store.get(name).body, name.rpartition("/")[2].removesuffix(".json")) for name in names]


def _listed(body: bytes, identity: str) -> Token:
    try:
        return _decoded(body, identity)
    except Unreadable:
        pass
    try:
        known = LISTED.decode(body)
    except formats.DAMAGED:
        known = Listed()
    return Token(
        id=identity,
        name=f"{known.name} (not usable here: made by a later release, or damaged)",
        scopes=known.scopes,
        salt="",
        hash="",
        created_at=known.created_at,
        revoked=known.revoked,
    )


def _hash(salt: str, secret: str) -> str:
    return hashlib.sha256(bytes.fromhex(salt) + secret.encode()).hexdigest()
