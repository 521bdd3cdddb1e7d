"""Ours behind plain HTTP: the inference function's handler, and as little as possible in place of API Gateway.

`python -m bench.inference.peer.amaas` serves the bucket that the environment names, on the loopback interface, with
Uvicorn, the very one of the floor's environment (FLOOR names its packages). Each call becomes API Gateway's event, body
in base64, and back. With REPLAY the handler answers once, and what is left is web server and gateway.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from typing import Any

from bench.calls import CALLER, EVENT
from functions.inference import app

sys.path.append(os.environ["FLOOR"])  # last: everything but the web server is the function's own
import pybase64
import uvicorn

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]
BASE = EVENT | {"queryStringParameters": None, "isBase64Encoded": True, "requestContext": CALLER}


def event(scope: dict[str, Any], body: bytes) -> dict[str, Any]:
    """What API Gateway hands to a function."""
    return BASE | {
        "httpMethod": scope["method"],
        "path": scope["path"],
        "headers": {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
        "body": pybase64.b64encode_as_string(body),
    }


def application(handler: Handler) -> Callable[..., Any]:
    async def served(scope: dict[str, Any], receive: Any, send: Any) -> None:
        parts = []
        while True:
            message = await receive()
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                break
        reply = handler(event(scope, b"".join(parts)), None)
        body = pybase64.b64decode(reply["body"]) if reply["isBase64Encoded"] else reply["body"].encode()
        headers = [(name.lower().encode(), value.encode()) for name, value in reply["headers"].items()]
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": reply["statusCode"], "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return served


def replayed() -> Handler:
    """Answers as the handler did to the first call of the same path and type."""
    answers: dict[tuple[str, Any], dict[str, Any]] = {}

    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        key = event["path"], event["headers"].get("content-type")
        if key not in answers:
            answers[key] = app.handler(event, context)
        return answers[key]

    return handler


def main() -> None:
    served = application(replayed() if os.environ.get("REPLAY") else app.handler)
    options = {"loop": "uvloop", "http": "httptools", "access_log": False, "lifespan": "off", "log_level": "warning"}
    # a function's log line is part of what a call costs; where it goes to is not
    with contextlib.redirect_stdout(open(os.devnull, "w")):
        uvicorn.run(served, host="127.0.0.1", port=int(os.environ["PORT"]), **options)


if __name__ == "__main__":
    main()
