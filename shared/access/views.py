"""The public forms of tokens: what the API answers. None has a secret but the one that is shown once."""

from __future__ import annotations

from msgspec import Struct, field

from shared.paging import NextPage


class Limits(Struct, kw_only=True):
    """How much a token may use at most; null for no limit. rate, burst: calls per second, and at once. quota: calls per
    month. batch_jobs, training_jobs, texts: at the same time. upload_bytes: announced on one day, in UTC. text_tokens:
    of prompts and generated texts, in a minute.
    """

    rate: float | None = None
    burst: int | None = None
    quota: int | None = None
    batch_jobs: int | None = None
    training_jobs: int | None = None
    upload_bytes: int | None = None
    texts: int | None = None
    text_tokens: int | None = None


class Token(Struct, kw_only=True):
    """expires_at, revoked_at: seconds since the epoch. last_used: a day, as 2026-01-31, in UTC.

    creator: id of the token that created it, or `operator`. person: whose it is: a name that an operator gave, or the
    id of the token that all of one person's descend from; where two have to agree, a person's tokens count once.
    replaces, replaced_by: ids, of a rotated token. revoked_at: from when on it is refused, which is later than its
    rotation. problem: why it opens nothing, though it is neither expired nor revoked. limits: its own and the
    deployment's, as they hold today; a token of earlier releases shares `rate`, `burst` and `quota` with all others.
    """

    id: str
    name: str
    scopes: list[str]
    created_at: str
    expires_at: float | None
    revoked: bool
    creator: str = ""
    person: str = ""
    last_used: str | None = None
    revoked_by: str | None = None
    revoked_at: float | None = None
    reason: str | None = None
    replaces: str | None = None
    replaced_by: str | None = None
    problem: str | None = None
    limits: Limits = field(default_factory=Limits)


class OwnToken(Struct, kw_only=True):
    """The token that a call was made with. id: as in records. person, limits: as in `Token`."""

    id: str
    name: str
    scopes: list[str]
    person: str
    limits: Limits


class TokenList(Struct):
    tokens: list[Token]
    next: NextPage


class TokenCreated(Token, kw_only=True):
    """token: its plain text, which is shown this once."""

    token: str


class TokenRotated(TokenCreated, kw_only=True):
    """The new token. old_until: when the old one ends, in seconds since the epoch."""

    old_until: float


class TokenRevoked(Token, kw_only=True):
    """refused_within: seconds for which the gateway may still let it in."""

    refused_within: int
