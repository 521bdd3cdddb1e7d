"""The token authorizer: who is calling, and with which scopes. What a scope allows is decided where the route is."""

from __future__ import annotations

import logging
import os
from functools import cache
from typing import Any

from shared import deadline
from shared.access import context as contexts
from shared.access.authenticate import authenticate
from shared.access.records import Token
from shared.access.remembered import Remembered
from shared.access.usage import Usage
from shared.entry.wiring import config, seals, store
from shared.errors import Unauthenticated

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
        token = remembered().token(header, lambda: authenticate(store(), header, seals(config()), usage))
    except Unauthenticated as error:
        logger.info("refused", extra={"reason": str(error)})
        raise Exception("Unauthorized") from None
    finally:
        deadline.end(end)
    logger.info("authenticated", extra={"token": token.id})
    return policy(event["methodArn"], token)


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
        "context": contexts.encode(token),
    }
    if config().quota_key:
        answer["usageIdentifierKey"] = config().quota_key
    return answer
