"""Tokens: the only function that may write them. Its callers are admins."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from shared.access import scopes, tokens
from shared.entry.http import Request, Response, Routes
from shared.entry.wiring import store

handler = Routes("tokens")


class NewToken(Struct, forbid_unknown_fields=True):
    """The body of POST /tokens."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    scopes: Annotated[list[str], Meta(min_length=1, max_length=50)]
    expires_in_days: float | None = None


@handler.route("GET", "/tokens", scope="admin")
def every(request: Request) -> dict[str, Any]:
    scopes.require_everywhere(request.scopes, "admin")
    return {"tokens": [token.public() for token in tokens.every(store())]}


@handler.route("POST", "/tokens", scope="admin", takes=NewToken)
def create(request: Request, wanted: NewToken) -> Response:
    # an admin of some models only must not be able to make a token for all of them
    scopes.require_everywhere(request.scopes, "admin")
    token, secret = tokens.create(store(), wanted.name, wanted.scopes, expires_in_days=wanted.expires_in_days)
    return Response({**token.public(), "token": secret}, 201)


@handler.route("DELETE", "/tokens/{token_id}", scope="admin")
def revoke(request: Request) -> dict[str, Any]:
    scopes.require_everywhere(request.scopes, "admin")
    return tokens.revoke(store(), request.params["token_id"]).public()
