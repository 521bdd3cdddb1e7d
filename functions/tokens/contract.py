"""What the calls of tokens may say, and answer."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class CreateTokenRequest(Struct, forbid_unknown_fields=True):
    """scopes: as `infer:fashion-*`. expires_in_days: omitted, the token does not expire."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    scopes: Annotated[list[str], Meta(min_length=1, max_length=50)]
    expires_in_days: float | None = None


class Token(Struct, kw_only=True):
    """expires_at: seconds since the epoch."""

    id: str
    name: str
    scopes: list[str]
    created_at: str
    expires_at: float | None
    revoked: bool


class TokenList(Struct):
    tokens: list[Token]


class TokenCreated(Token, kw_only=True):
    """token: its plain text, which is shown this once."""

    token: str
