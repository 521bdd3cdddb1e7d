"""Passing a call on to another function, which answers it as if the gateway had called it."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from shared import aws, deadline
from shared.entry import proxy
from shared.entry.http import Request, Response
from shared.errors import AmaasError, Unavailable

WAY = 1.0  # seconds


@cache
def _client(endpoint_url: str | None) -> Any:
    from botocore.config import Config  # for the few calls that are passed on

    config = Config(read_timeout=60, retries={"total_max_attempts": 1})
    return aws.client("lambda", endpoint_url=endpoint_url, config=config)


def forward(request: Request, function: str, endpoint_url: str | None, otherwise: AmaasError) -> Response:
    """The other function's answer. Raises Unavailable where it gave none, and `otherwise` where there is none.

    function: its name; it is called with `{"forwarded": event, "seconds": …}`, which no gateway sends: how long this
    call may take still, less what the answer needs on its way.
    """
    if not function:
        raise otherwise
    event = {
        "httpMethod": request.method,
        "path": request.path,
        "headers": request.headers,
        "queryStringParameters": request.query or None,
        "body": proxy.to_base64(request.body),
        "isBase64Encoded": True,
        "requestContext": request.context,
    }
    left = deadline.remaining()
    passed_on = {"forwarded": event} | ({} if left is None else {"seconds": left - WAY})
    try:
        reply = _client(endpoint_url).invoke(FunctionName=function, Payload=json.dumps(passed_on).encode())
        answer = json.loads(reply["Payload"].read())
    except AmaasError:
        raise
    except Exception as error:  # the SDK's own, and what is no JSON
        kind = type(error).__name__
        raise Unavailable(f"the function that generates text cannot be reached ({kind}): try again") from error
    if not isinstance(answer, dict) or "statusCode" not in answer:
        raise Unavailable("the function that generates text ended without an answer: try again")
    body = answer.get("body") or ""
    raw = proxy.body_of({"body": body, "isBase64Encoded": answer.get("isBase64Encoded")})
    return Response(raw, int(answer["statusCode"]), dict(answer.get("headers") or {}))
