"""The public forms of tokens: what the API answers. None has a secret but the one that is shown once."""

from __future__ import annotations

from msgspec import Struct


class Token(Struct, kw_only=True):
    """expires_at, revoked_at: seconds since the epoch. last_used: a day, as 2026-01-31, in UTC.

    creator: id of the token that created it, or `operator`. replaces, replaced_by: ids, of a rotated token. revoked_at:
    from when on it is refused, which is later than its rotation. problem: why it opens nothing, though it is neither
    expired nor revoked.
    """

    id: str
    name: str
    scopes: list[str]
    created_at: str
    expires_at: float | None
    revoked: bool
    creator: str = ""
    last_used: str | None = None
    revoked_by: str | None = None
    revoked_at: float | None = None
    reason: str | None = None
    replaces: str | None = None
    replaced_by: str | None = None
    problem: str | None = None


class TokenList(Struct):
    tokens: list[Token]


class TokenCreated(Token, kw_only=True):
    """token: its plain text, which is shown this once."""

    token: str


class TokenRotated(TokenCreated, kw_only=True):
    """The new token. old_until: when the old one ends, in seconds since the epoch."""

    old_until: float


class TokenRevoked(Token, kw_only=True):
    """refused_within: seconds for which the gateway may still let it in."""

    refused_within: int
