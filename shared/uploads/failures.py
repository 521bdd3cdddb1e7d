"""The queue of events that failed in all deliveries, on SQS."""

from __future__ import annotations

from typing import Any

from botocore.config import Config as BotoConfig
from botocore.exceptions import BotoCoreError, ClientError

from shared import aws
from shared.errors import Unavailable
from shared.uploads.redrive import Letter

HIDDEN = 60  # seconds in which nobody else receives a message
MOST = 10  # messages that SQS gives at a time

# all attempts together end before the function does, whoever waits for it
LIMITS = BotoConfig(connect_timeout=2, read_timeout=8, retries={"total_max_attempts": 2, "mode": "standard"})


class FailureQueue:
    """A queue by its URL. Raises Unavailable when SQS does not answer."""

    def __init__(self, url: str, endpoint_url: str | None = None, client: Any = None) -> None:
        self._url = url
        self._client = client or aws.client("sqs", endpoint_url=endpoint_url, config=LIMITS)

    def receive(self) -> list[Letter]:
        # a second of waiting has SQS ask all of its servers, so that an empty answer means an empty queue
        reply = self._call("receive_message", MaxNumberOfMessages=MOST, VisibilityTimeout=HIDDEN, WaitTimeSeconds=1)
        return [Letter(message["ReceiptHandle"], message["Body"]) for message in reply.get("Messages", [])]

    def remove(self, letter: Letter) -> None:
        self._call("delete_message", ReceiptHandle=letter.receipt)

    def _call(self, operation: str, **args: Any) -> dict[str, Any]:
        try:
            reply: dict[str, Any] = getattr(self._client, operation)(QueueUrl=self._url, **args)
        except (ClientError, BotoCoreError) as error:
            raise Unavailable(
                f"the queue of failed uploads does not answer ({type(error).__name__}); try again"
            ) from error
        return reply
