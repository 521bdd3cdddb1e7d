"""Messages for people, by an SNS topic."""

from __future__ import annotations

from typing import Any

from botocore.config import Config as BotoConfig
from botocore.exceptions import BotoCoreError, ClientError

from shared import aws
from shared.errors import Unavailable

SUBJECT = 100  # characters that SNS takes, of ASCII
LIMITS = BotoConfig(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 2, "mode": "standard"})


class Topic:
    """A topic by its ARN. client: of boto3."""

    def __init__(self, arn: str, endpoint_url: str | None = None, client: Any = None) -> None:
        self._arn = arn
        self._client = client or aws.client("sns", endpoint_url=endpoint_url, config=LIMITS)

    def send(self, subject: str, text: str) -> None:
        """Raises Unavailable when SNS does not take it."""
        line = " ".join(subject.encode("ascii", "replace").decode().split())[: SUBJECT - 1]
        try:
            self._client.publish(TopicArn=self._arn, Subject=line, Message=text)
        except (ClientError, BotoCoreError) as error:
            raise Unavailable(f"the topic of notifications does not answer ({type(error).__name__})") from error
