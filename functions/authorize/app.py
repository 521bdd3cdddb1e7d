"""The token authorizer: who is calling, and with which scopes. What a scope allows is decided where the route is."""

from __future__ import annotations

import logging
import os
from functools import cache
from typing import TYPE_CHECKING, Any

from shared import deadline
from shared.access import context as contexts
from shared.access import limits
from shared.access.authenticate import authenticate, require_not_revoked
from shared.access.records import Token
from shared.access.remembered import Remembered
from shared.access.usage import Usage
from shared.entry.wiring import config, seals, store
from shared.errors import Unauthenticated

if TYPE_CHECKING:
    from shared.access.jwt.issuer import Issuer

logger = logging.getLogger(__name__)
usage = Usage()

# the first caller of all waits for this function, too: on Lambda, the client is made while it starts
if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    store()


@cache
def remembered() -> Remembered:
    return Remembered(config().max_stale_token)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer the gateway with a policy; the exception "Unauthorized" is what makes it answer 401."""
    end = deadline.begin(context)
    try:
        header = _header(event)
        token = remembered().token(header, lambda: _caller(header))
    except Unauthenticated as error:
        logger.info("refused", extra={"reason": str(error)})
        raise Exception("Unauthorized") from None
    finally:
        deadline.end(end)
    logger.info("authenticated", extra={"token": token.id})
    return policy(event["methodArn"], token)


def _caller(header: str | None) -> Token:
    """Raises Unauthenticated, Unavailable."""
    settings = config()
    text = (header or "").partition(" ")[2].strip()
    if not settings.jwt_issuer or not text.startswith("eyJ"):
        return authenticate(store(), header, seals(settings), usage)
    from shared.access.jwt import callers  # for those who have a JWT

    rules = callers.Rules(settings.jwt_audience, settings.jwt_claim, settings.jwt_groups)
    caller = callers.authenticate(text, issuer(settings.jwt_issuer, settings.endpoint_url), rules)
    require_not_revoked(store(), caller.id, seals(settings))
    return caller


@cache
def issuer(address: str, endpoint_url: str | None) -> Issuer:
    from shared.access.jwt.issuer import Issuer

    return Issuer(address, endpoint_url)


def _header(event: dict[str, Any]) -> str | None:
    if event.get("type") == "TOKEN":
        return event.get("authorizationToken")
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    return headers.get("authorization")


def policy(method_arn: str, token: Token) -> dict[str, Any]:
    """Allow the whole stage: the answer is cached per token, so it must hold for every route."""
    api, stage = method_arn.split("/")[:2]
    statement = {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": f"{api}/{stage}/*"}
    answer: dict[str, Any] = {
        "principalId": token.id,
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": contexts.encode(token, limits.decode(config().limits)),
    }
    if token.usage_key and config().deployment:
        answer["usageIdentifierKey"] = limits.usage_key(config().deployment, token.usage_key)
    elif config().quota_key:
        answer["usageIdentifierKey"] = config().quota_key
    return answer
