"""The timers of the inbox, on Step Functions: a machine that waits, then calls the ingest function (template.yaml)."""

from __future__ import annotations

from typing import Any

import msgspec
from botocore.config import Config as BotoConfig
from botocore.exceptions import BotoCoreError, ClientError

from shared import aws
from shared.errors import Unavailable
from shared.uploads.quiet import INCOMPLETE, QuietFolder

LIMITS = BotoConfig(connect_timeout=2, read_timeout=8, retries={"total_max_attempts": 2, "mode": "standard"})


class QuietMachine:
    """seconds: that a folder has to be quiet, a whole number. Raises Unavailable if Step Functions does not answer."""

    def __init__(self, arn: str, seconds: int, endpoint_url: str | None = None, client: Any = None) -> None:
        self._arn = arn
        self._seconds = seconds
        self._client = client or aws.client("stepfunctions", endpoint_url=endpoint_url, config=LIMITS)

    def start(self, folder: QuietFolder) -> None:
        seconds = max(INCOMPLETE, self._seconds) if folder.last else self._seconds
        event = msgspec.json.encode({"seconds": seconds, "event": folder}).decode()
        # named after what was seen: events that see the same folder share a timer
        name = f"{folder.seen}-{'last' if folder.last else 'first'}"
        try:
            self._client.start_execution(stateMachineArn=self._arn, name=name, input=event)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code != "ExecutionAlreadyExists":  # another event's, of another sender
                raise Unavailable(f"the timer of the inbox answered {code}; try again") from error
        except BotoCoreError as error:
            raise Unavailable(
                f"the timer of the inbox cannot be reached ({type(error).__name__}); try again"
            ) from error
