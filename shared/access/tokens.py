"""Tokens: `amaas_<id>_<secret>`. Only a salted hash of the secret is stored, so that a leaked bucket opens nothing.

The secret has 256 bits from the system's generator, so one round of salted SHA-256 is enough: there is no dictionary
to try. A password hash would cost every cold call tens of milliseconds and gain nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time

import msgspec
from msgspec import Struct

from shared import keys
from shared.access import scopes as scope_rules
from shared.clock import now
from shared.errors import BadInput, NotFound, Unauthenticated
from shared.storage.base import ObjectNotFound, PreconditionFailed, Store, list_all

TOKEN = re.compile(r"amaas_([a-z0-9]{12})_([A-Za-z0-9_-]{43})")
REFUSED = "this token is unknown, expired or revoked: send `Authorization: Bearer <token>` with a valid one"
MISSING = "no token: send `Authorization: Bearer <token>`; `amaas token create` makes one"


class Token(Struct, frozen=True, kw_only=True):
    """What is stored of a token. salt and hash in hex; expires_at in seconds since the epoch, or None."""

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


# made once, before any thread: see registry/state.py
DECODER = msgspec.json.Decoder(Token)


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
        token = read(store, match[1])
    except NotFound:
        raise Unauthenticated(REFUSED) from None
    valid = hmac.compare_digest(token.hash, _hash(token.salt, match[2]))
    if not valid or token.revoked or (token.expires_at is not None and token.expires_at < time.time()):
        raise Unauthenticated(REFUSED)
    return token


def read(store: Store, identity: str) -> Token:
    try:
        return DECODER.decode(store.get(keys.token(identity)).body)
    except ObjectNotFound:
        raise NotFound(f"there is no token {identity!r}: GET /tokens lists them") from None


def revoke(store: Store, identity: str) -> Token:
    """Revoked tokens stay listed: who had access, and when, is part of the audit."""
    while True:
        try:
            present = store.get(keys.token(identity))
        except ObjectNotFound:
            raise NotFound(f"there is no token {identity!r}: GET /tokens lists them") from None
        token = msgspec.structs.replace(DECODER.decode(present.body), revoked=True)
        try:
            store.put(keys.token(identity), msgspec.json.encode(token), if_match=present.etag)
            return token
        except PreconditionFailed:
            continue


def every(store: Store) -> list[Token]:
    return [DECODER.decode(store.get(info.key).body) for info in list_all(store, keys.TOKENS)]


def _hash(salt: str, secret: str) -> str:
    return hashlib.sha256(bytes.fromhex(salt) + secret.encode()).hexdigest()
