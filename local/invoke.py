"""Call a handler by hand, in a process of its own, on the local deployment: `make invoke F=registry P=/models`.

It has the environment variables that the function has there, so it works on the same bucket, and its log comes to the
terminal. The event is a file, or one as API Gateway makes it of a path, of a caller with every scope.
"""

from __future__ import annotations

import argparse
import base64
import importlib
import json
import os
import pdb
import time
import uuid
from pathlib import Path
from typing import Any

from local.deploy import client
from local.logs import FUNCTIONS
from local.settings import ACCESS, BUILD, STACK, aws_env

SECONDS = 900  # a debugger takes its time


class Context:
    """What handlers use of Lambda's context."""

    aws_request_id = str(uuid.uuid4())

    def __init__(self) -> None:
        self._until = time.monotonic() + SECONDS

    def get_remaining_time_in_millis(self) -> int:
        return int((self._until - time.monotonic()) * 1000)


def environment(endpoint: str, function: str) -> dict[str, str]:
    """The function's own variables, as the template sets them; its layer of models is the built one."""
    name = f"{function.capitalize()}Function"
    resource = client("cloudformation", endpoint).describe_stack_resource(StackName=STACK, LogicalResourceId=name)
    physical = resource["StackResourceDetail"]["PhysicalResourceId"]
    configuration = client("lambda", endpoint).get_function_configuration(FunctionName=physical)
    variables: dict[str, str] = configuration.get("Environment", {}).get("Variables", {})
    models = {"MODELS_DIR": str(BUILD / "ModelsLayer" / "models")} if "MODELS_DIR" in variables else {}
    return aws_env(endpoint) | variables | models | {"AWS_LAMBDA_FUNCTION_NAME": physical}


def gateway_event(path: str, method: str, body: bytes, content_type: str) -> dict[str, Any]:
    """What API Gateway makes of a request. path: with its query, without the stage."""
    path, _, query = path.partition("?")
    return {
        "httpMethod": method,
        "path": path,
        "queryStringParameters": dict(part.split("=", 1) for part in query.split("&") if "=" in part) or None,
        "headers": {"content-type": content_type},
        "body": base64.b64encode(body).decode() if body else None,
        "isBase64Encoded": bool(body),
        "requestContext": {
            "requestId": str(uuid.uuid4()),
            "apiId": "local",
            "stage": "v1",
            "authorizer": {"scope_list": '["admin"]', "principalId": "by-hand", "name": "by hand"},
        },
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("function", choices=FUNCTIONS)
    parser.add_argument("event", nargs="?", type=Path, help="a JSON file")
    parser.add_argument("--path", help="in place of an event: a path of the API, as /models?limit=3")
    parser.add_argument("--method", default="GET")
    parser.add_argument("--body", type=Path, help="a file: the request's body")
    parser.add_argument("--content-type", default="application/json")
    parser.add_argument("--pdb", action="store_true", help="stop in front of the handler's first line")
    options = parser.parse_args(arguments)
    if (options.event is None) == (options.path is None):
        parser.error("either an event's file or --path is needed")
    if not ACCESS.exists():
        raise SystemExit("there is no local deployment: start it with make run")
    if options.event is not None:
        event = json.loads(options.event.read_text())
    else:
        body = options.body.read_bytes() if options.body else b""
        event = gateway_event(options.path, options.method, body, options.content_type)
    variables = environment(json.loads(ACCESS.read_text())["endpoint_url"], options.function)
    os.environ.clear()
    os.environ.update(variables)
    handler = importlib.import_module(f"functions.{options.function}.app").handler
    answer = pdb.runcall(handler, event, Context()) if options.pdb else handler(event, Context())
    print(json.dumps(answer, indent=2, default=str))


if __name__ == "__main__":
    main()
