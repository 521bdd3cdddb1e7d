"""The Step Functions state machine that runs a job: start a run, ask for it, stop it. What it does: template.yaml."""

from __future__ import annotations

import json
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from shared.errors import Unavailable


class StateMachine:
    """The machine with this ARN. Raises Unavailable when Step Functions does not answer."""

    def __init__(self, arn: str, endpoint_url: str | None = None, client: Any = None) -> None:
        self._arn = arn
        self._client = client or boto3.client("stepfunctions", endpoint_url=endpoint_url)

    def start(self, job: str, run: int) -> None:
        asked = json.dumps({"job": job, "run": run})
        self._call("start_execution", stateMachineArn=self._arn, name=_name(job, run), input=asked)

    def going(self, job: str, run: int) -> bool:
        found = self._call("describe_execution", executionArn=self._execution(job, run))
        return bool(found and found["status"] in ("RUNNING", "PENDING_REDRIVE"))

    def stop(self, job: str, run: int) -> None:
        self._call("stop_execution", executionArn=self._execution(job, run), cause="cancelled")

    def _execution(self, job: str, run: int) -> str:
        return f"{self._arn.replace(':stateMachine:', ':execution:')}:{_name(job, run)}"

    def _call(self, operation: str, **args: Any) -> dict[str, Any] | None:
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**args)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in ("ExecutionAlreadyExists", "ExecutionDoesNotExist"):
                return None
            raise Unavailable(f"the batch job's state machine answered {code}; try again") from error
        except BotoCoreError as error:
            raise Unavailable(f"the batch job's state machine is out of reach ({error}); try again") from error
        return answer


def _name(job: str, run: int) -> str:
    return f"{job}-{run}"
