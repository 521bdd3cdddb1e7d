"""The log groups of a deployment in CloudWatch Logs."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from botocore.config import Config as BotoConfig
from botocore.exceptions import BotoCoreError, ClientError

from shared import aws
from shared.errors import Unavailable
from shared.logged.search import Event

# CloudWatch ends a page with no token to go on where it has no more; the embedded cloud also behind so many events
FULL_PAGE = 10_000
THROTTLED = ("ThrottlingException", "LimitExceededException", "TooManyRequestsException")


class CloudWatch:
    """prefix: what the names of the groups begin with; the function's name is their end."""

    def __init__(self, prefix: str, endpoint_url: str | None = None) -> None:
        self._prefix = prefix
        self._endpoint = endpoint_url

    @cached_property
    def _client(self) -> Any:
        # CloudWatch takes a few searches a second of an account, and each search here is one for each function
        config = BotoConfig(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 6, "mode": "standard"})
        return aws.client("logs", endpoint_url=self._endpoint, config=config)

    def events(self, function: str, first: int, last: int, term: str) -> Iterator[list[Event]]:
        """As search.Logs has it."""
        search: dict[str, Any] = {"logGroupName": self._prefix + function, "startTime": first, "endTime": last}
        search |= {"filterPattern": f'"{term}"'} if term else {}
        same = Counter[str]()
        while True:
            page = self._page(search)
            events = page.get("events", [])
            yield [
                Event(_id(one, same), one["timestamp"], one["message"], one.get("logStreamName", "")) for one in events
            ]
            if "nextToken" in page:
                search["nextToken"] = page["nextToken"]
                continue
            if len(events) < FULL_PAGE or events[-1]["timestamp"] == search["startTime"]:
                return
            search["startTime"] = events[-1]["timestamp"]
            same.clear()  # what has this time comes again, from its first event on

    def _page(self, search: dict[str, Any]) -> dict[str, Any]:
        try:
            page: dict[str, Any] = self._client.filter_log_events(**search)
            return page
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "ResourceNotFoundException":
                return {}  # the function was never called, or this deployment has none of it
            if code in THROTTLED:
                raise Unavailable(
                    "CloudWatch Logs is asked too often in this account: name a function, or try again in some seconds"
                ) from error
            raise Unavailable(f"CloudWatch Logs does not answer ({code}): try again in some seconds") from error
        except BotoCoreError as error:
            raise Unavailable(f"CloudWatch Logs does not answer ({error}): try again in some seconds") from error


def _id(event: dict[str, Any], same: Counter[str]) -> str:
    """CloudWatch's own; the embedded cloud has none for lines of functions: what a line says stands for it.

    same: how often each came before: rows of a traceback may be alike, and of one time.
    """
    if event.get("eventId"):
        return str(event["eventId"])
    told = f"{event.get('logStreamName')} {event['timestamp']} {event['message']}"
    digest = hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:24]
    same[digest] += 1
    return digest if same[digest] == 1 else f"{digest}-{same[digest]}"
