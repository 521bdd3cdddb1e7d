"""The Step Functions state machine that carries out runs: start, look, stop. Its steps are in template.yaml."""

from __future__ import annotations

import json
from typing import Any

from botocore.config import Config as BotoConfig
from botocore.exceptions import BotoCoreError, ClientError

from shared import aws
from shared.errors import Unavailable
from shared.jobs.batch.runs import Execution

ACTIVE = ("RUNNING", "PENDING_REDRIVE")

# all attempts together end before the function does, whoever waits for it
LIMITS = BotoConfig(connect_timeout=2, read_timeout=8, retries={"total_max_attempts": 2, "mode": "standard"})


class StateMachine:
    """The machine with this ARN. Raises Unavailable when Step Functions does not answer."""

    def __init__(self, arn: str, endpoint_url: str | None = None, client: Any = None) -> None:
        self._arn = arn
        self._client = client or aws.client("stepfunctions", endpoint_url=endpoint_url, config=LIMITS)

    def start(self, job: str, run: int) -> None:
        event = json.dumps({"job": job, "run": run})
        self._call("start_execution", stateMachineArn=self._arn, name=_name(job, run), input=event)

    def look(self, job: str, run: int) -> Execution | None:
        described = self._call("describe_execution", executionArn=self._execution(job, run))
        if described is None:
            return None
        causes = [str(described[name]) for name in ("error", "cause") if described.get(name)]
        return Execution(described["status"] in ACTIVE, ": ".join([str(described["status"]).lower(), *causes])[:400])

    def stop(self, job: str, run: int) -> None:
        execution = self.look(job, run)
        if execution and execution.running:  # of another, some machines say that the call is wrong
            self._call("stop_execution", executionArn=self._execution(job, run), cause="cancelled")

    def _execution(self, job: str, run: int) -> str:
        return f"{self._arn.replace(':stateMachine:', ':execution:')}:{_name(job, run)}"

    def _call(self, operation: str, **args: Any) -> dict[str, Any] | None:
        try:
            reply: dict[str, Any] = getattr(self._client, operation)(**args)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            # executions have the run's name, so that a repeated start is the same execution
            if code in ("ExecutionAlreadyExists", "ExecutionDoesNotExist"):
                return None
            raise Unavailable(f"the batch job's state machine answered {code}; try again") from error
        except BotoCoreError as error:
            raise Unavailable(f"the batch job's state machine cannot be reached ({error}); try again") from error
        return reply


def _name(job: str, run: int) -> str:
    return f"{job}-{run}"
