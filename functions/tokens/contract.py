"""What the calls of tokens may say. What they answer is in shared/access/views.py."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Days = Annotated[float, Meta(gt=0, le=3650)]
Reason = Annotated[str, Meta(max_length=500)]


class CreateTokenRequest(Struct, forbid_unknown_fields=True):
    """scopes: as `infer:fashion-*`. expires_in_days: omitted, as long as the deployment says, which is 90 days."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    scopes: Annotated[list[str], Meta(min_length=1, max_length=50)]
    expires_in_days: Days | None = None


class RotateTokenRequest(Struct, forbid_unknown_fields=True):
    """overlap_hours: for which the old token goes on. expires_in_days: of the new one, as when one is created."""

    overlap_hours: Annotated[float, Meta(ge=0, le=720)] = 24.0
    expires_in_days: Days | None = None


class RevokeTokenRequest(Struct, forbid_unknown_fields=True):
    reason: Reason | None = None
