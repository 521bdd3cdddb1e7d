"""Calls the tokens function as an operator: it alone writes and signs tokens."""

from __future__ import annotations

import json
from typing import Any

import boto3
from botocore.config import Config


def order(function: str, command: dict[str, Any], endpoint_url: str | None = None) -> dict[str, Any]:
    """The function's answer to a command of functions/tokens/operator.py. Raises SystemExit with what went wrong."""
    functions = boto3.client("lambda", endpoint_url=endpoint_url, config=Config(retries={"max_attempts": 0}))
    answer = functions.invoke(FunctionName=function, Payload=json.dumps({"operator": command}))
    outcome: dict[str, Any] = json.load(answer["Payload"])
    if "FunctionError" in answer or "error" in outcome:
        raise SystemExit(f"{function} refused: {outcome.get('error') or outcome}")
    return outcome
