"""Tokens: the only function that may write them. Its callers are admins."""

from __future__ import annotations

from typing import Any

from functions.tokens.contract import CreateTokenRequest, Token, TokenCreated, TokenList
from shared.access import scopes, tokens
from shared.entry.http import Request, Response, Routes
from shared.entry.wiring import store

handler = Routes("tokens")


@handler.route("GET", "/tokens", id="listTokens", scope="admin", gives=TokenList)
def list_tokens(request: Request) -> dict[str, Any]:
    """All tokens, revoked ones too, without their secrets"""
    scopes.require_everywhere(request.scopes, "admin")
    return {"tokens": [token.public() for token in tokens.list_tokens(store())]}


@handler.route(
    "POST",
    "/tokens",
    id="createToken",
    scope="admin",
    takes=CreateTokenRequest,
    gives={201: TokenCreated},
    examples={"caller": {"name": "shop-frontend", "scopes": ["infer:fashion-*"], "expires_in_days": 90}},
)
def create(request: Request, body: CreateTokenRequest) -> Response:
    """Create a token"""
    # an admin of some models only must not be able to make a token for all of them
    scopes.require_everywhere(request.scopes, "admin")
    token, secret = tokens.create(store(), body.name, body.scopes, expires_in_days=body.expires_in_days)
    return Response({**token.public(), "token": secret}, 201)


@handler.route("DELETE", "/tokens/{token_id}", id="revokeToken", scope="admin", gives=Token)
def revoke(request: Request) -> dict[str, Any]:
    """Revoke a token; it stays listed"""
    scopes.require_everywhere(request.scopes, "admin")
    return tokens.revoke(store(), request.params["token_id"]).public()
