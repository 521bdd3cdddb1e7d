"""What the calls of tokens may say. What they answer is in shared/access/views.py."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, field

from shared.paging import CURSOR, limit

Days = Annotated[float, Meta(gt=0, le=3650)]
Reason = Annotated[str, Meta(max_length=500)]


class TokensQuery(Struct):
    next: Annotated[str | None, CURSOR] = None
    limit: Annotated[int, limit()] = 100


class TokenLimits(Struct, forbid_unknown_fields=True):
    """How much a token may use at most; those that are omitted are the deployment's.

    rate, burst: calls per second, and at once. quota: calls per month. batch_jobs, training_jobs, texts: at the same
    time. upload_bytes: announced on one day, in UTC. text_tokens: of prompts and generated texts, in a minute.
    """

    rate: Annotated[float, Meta(gt=0, le=10_000)] | None = None
    burst: Annotated[int, Meta(ge=1, le=5_000)] | None = None
    quota: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None
    batch_jobs: Annotated[int, Meta(ge=0, le=1_000)] | None = None
    training_jobs: Annotated[int, Meta(ge=0, le=1_000)] | None = None
    upload_bytes: Annotated[int, Meta(ge=0, le=2**50)] | None = None
    texts: Annotated[int, Meta(ge=0, le=1_000)] | None = None
    text_tokens: Annotated[int, Meta(ge=0, le=10**9)] | None = None


class CreateTokenRequest(Struct, forbid_unknown_fields=True):
    """scopes: as `infer:fashion-*`. expires_in_days: omitted, as long as the deployment says, which is 90 days."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    scopes: Annotated[list[str], Meta(min_length=1, max_length=50)]
    expires_in_days: Days | None = None
    limits: TokenLimits = field(default_factory=TokenLimits)


class RotateTokenRequest(Struct, forbid_unknown_fields=True):
    """overlap_hours: for which the old token goes on. expires_in_days: of the new one, as when one is created."""

    overlap_hours: Annotated[float, Meta(ge=0, le=720)] = 24.0
    expires_in_days: Days | None = None


class RevokeTokenRequest(Struct, forbid_unknown_fields=True):
    reason: Reason | None = None
