"""Tokens: the only function that may write and sign them. Its callers are admins, and operators who invoke it."""

from __future__ import annotations

import hashlib
import logging
from typing import Any

from msgspec.structs import asdict

from functions.tokens import operator
from functions.tokens.contract import CreateTokenRequest, RevokeTokenRequest, RotateTokenRequest, TokensQuery
from shared.access import limits, listing, people, tokens, views
from shared.access.records import Token
from shared.config import AUTHORIZER_SECONDS
from shared.entry.http import Request, Response, Routes
from shared.entry.wiring import config, plans, seals, store

logger = logging.getLogger(__name__)


class TokenRoutes(Routes):
    """The routes, and what only an operator may ask for: an event of the gateway has no member `operator`."""

    def __call__(self, event: dict[str, Any], context: Any) -> Any:
        if "operator" in event:
            return operator.carry_out(store(), seals(config()), config().token_days, event["operator"], _keyring())
        return super().__call__(event, context)


# models="all": an admin of some models only must not be able to make a token for all of them
handler = TokenRoutes("tokens")


def _creator(request: Request) -> tokens.Creator:
    return tokens.Creator(id=request.caller, ancestors=request.ancestors)


def _keyring() -> tokens.Keyring:
    return tokens.Keyring(plans(config()), _defaults())


def _defaults() -> limits.Limits:
    return limits.decode(config().limits)


@handler.route("GET", "/tokens", id="listTokens", scope="admin", models="all", query=TokensQuery, gives=views.TokenList)
def list_tokens(request: Request, query: TokensQuery) -> views.TokenList:
    """Tokens by id, revoked ones too, without their secrets"""
    page, following = listing.page(store(), seals(config()), after=query.next, limit=query.limit, defaults=_defaults())
    return views.TokenList(page, following)


@handler.route("GET", "/tokens/self", id="getOwnToken", scope=None, gives=views.OwnToken)
def own(request: Request) -> views.OwnToken:
    """The token of this call: what it may do, and its limits"""
    held = listing.limits(request.limits)
    return views.OwnToken(
        id=request.caller,
        name=request.name or "",
        scopes=list(request.scopes),
        person=people.of(request.caller, request.ancestors),
        limits=held,
    )


@handler.route(
    "POST",
    "/tokens",
    id="createToken",
    scope="admin",
    models="all",
    takes=CreateTokenRequest,
    gives={201: views.TokenCreated},
    errors=(409,),
    names=True,
    examples={
        "caller": {"name": "shop-frontend", "scopes": ["infer:fashion-*"], "expires_in_days": 90},
        "limited": {"name": "guest", "scopes": ["infer"], "limits": {"rate": 5, "burst": 10, "quota": 10_000}},
    },
)
def create(request: Request, body: CreateTokenRequest) -> Response:
    """Create a token

    A repetition with the same Idempotency-Key creates no second one: it is a 409 that names the first.
    """
    days = body.expires_in_days or config().token_days
    token, secret = tokens.create(
        store(),
        body.name,
        body.scopes,
        expires_in_days=days,
        creator=_creator(request),
        seals=seals(config()),
        limits=limits.Limits(**asdict(body.limits)),
        keyring=_keyring(),
        identity=_identity(request),
    )
    logger.info("token created", extra={"token": token.id, "by": request.caller, "scopes": token.scopes})
    return Response(views.TokenCreated(token=secret, **_shown(token)), 201)


def _identity(request: Request) -> str:
    """The id of the token that this call creates; empty for any. Its answer is a secret, so it is not kept."""
    key = request.idempotency_key
    if key is None:
        return ""
    from shared.entry import idempotency  # few calls have a key

    idempotency.require_valid(key)
    return hashlib.sha256(f"{request.caller}\n{key}".encode()).hexdigest()[:12]


def _shown(token: Token) -> dict[str, Any]:
    return asdict(listing.view(token, _defaults()))


@handler.route(
    "POST",
    "/tokens/{token_id}/rotate",
    id="rotateToken",
    scope="admin",
    models="all",
    takes=RotateTokenRequest,
    gives={201: views.TokenRotated},
    errors=(409,),
    examples={"two days": {"overlap_hours": 48}},
)
def rotate(request: Request, body: RotateTokenRequest) -> Response:
    """Replace a token by a new one with its name, scopes and limits; the old one ends after the overlap"""
    token, secret, old_until = tokens.rotate(
        store(),
        request.params["token_id"],
        creator=_creator(request),
        overlap_hours=body.overlap_hours,
        expires_in_days=body.expires_in_days or config().token_days,
        seals=seals(config()),
    )
    extra = {"token": token.id, "replaces": request.params["token_id"], "by": request.caller}
    logger.info("token rotated", extra=extra)
    return Response(views.TokenRotated(token=secret, old_until=old_until, **_shown(token)), 201)


@handler.route(
    "DELETE",
    "/tokens/{token_id}",
    id="revokeToken",
    scope="admin",
    models="all",
    takes=RevokeTokenRequest,
    gives=views.TokenRevoked,
)
def revoke(request: Request, body: RevokeTokenRequest) -> views.TokenRevoked:
    """Revoke a token; it stays listed. Calls in progress, and those of the next seconds, may still be let in

    Also the subject of JWTs (`jwt…`): all of its JWTs are refused from then on.
    """
    identity = request.params["token_id"]
    token = tokens.revoke(
        store(), identity, by=request.caller, reason=body.reason, seals=seals(config()), keyring=_keyring()
    )
    logger.info("token revoked", extra={"token": identity, "by": request.caller})
    return views.TokenRevoked(refused_within=AUTHORIZER_SECONDS, **asdict(token))
