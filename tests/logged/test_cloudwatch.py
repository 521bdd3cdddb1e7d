"""Log groups of CloudWatch: what is in them, those that are not there, and refusals."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError
from moto import mock_aws

from shared.errors import Unavailable
from shared.logged import cloudwatch, search
from shared.logged.cloudwatch import CloudWatch
from shared.logged.search import Search

NOW = int(time.time() * 1000)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        yield boto3.client("logs")


def write(client: Any, function: str, *texts: str) -> None:
    group = {"logGroupName": f"/amaas/prod/{function}"}
    client.create_log_group(**group)
    client.create_log_stream(**group, logStreamName="one")
    events = [{"timestamp": NOW - 1000 + number, "message": text} for number, text in enumerate(texts)]
    client.put_log_events(**group, logStreamName="one", logEvents=events)


def test_groups_of_this_deployment_are_read(client: Any) -> None:
    write(client, "inference", '{"message": "call", "model": "wine"}', '{"message": "call", "model": "other"}')
    write(client, "watch", "no JSON")
    lines, more = search.find(CloudWatch("/amaas/prod/"), Search(first=NOW - 60_000, last=NOW + 60_000), 10)
    assert [(line.function, line.message) for line in lines] == [
        ("inference", "call"),
        ("watch", "no JSON"),
        ("inference", "call"),
    ]
    assert more is None and len({line.id for line in lines}) == 3
    found, _ = search.find(CloudWatch("/amaas/prod/"), Search(first=0, last=NOW + 60_000, model="wine"), 10)
    assert [line.fields for line in found] == [{"model": "wine"}]
    assert search.find(CloudWatch("/amaas/test/"), Search(first=0, last=NOW), 10) == ([], None)


class Refusing:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def filter_log_events(self, **search: Any) -> Any:
        raise self.error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ClientError({"Error": {"Code": "ThrottlingException"}}, "FilterLogEvents"), "name a function, or try again"),
        (ClientError({"Error": {"Code": "AccessDeniedException"}}, "FilterLogEvents"), "AccessDeniedException"),
        (ConnectTimeoutError(endpoint_url="logs"), "does not answer"),
    ],
)
def test_a_refusal_says_what_to_do(error: Exception, said: str) -> None:
    logs = CloudWatch("/amaas/prod/")
    logs.__dict__["_client"] = Refusing(error)
    with pytest.raises(Unavailable, match=said):
        list(logs.events("watch", 0, NOW, ""))


class Cut:
    """Pages that end at FULL_PAGE events without a token, as the embedded cloud's do."""

    def filter_log_events(self, **search: Any) -> Any:
        first = max(search["startTime"], 1)
        events = [{"eventId": str(at), "timestamp": at, "message": "m"} for at in range(first, 10)]
        return {"events": events[:4]}


def test_a_page_that_was_cut_without_a_token_is_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloudwatch, "FULL_PAGE", 4)
    logs = CloudWatch("/amaas/prod/")
    logs.__dict__["_client"] = Cut()
    lines, _ = search.find(logs, Search(first=0, last=NOW, functions=("watch",)), 100)
    assert [line.id for line in lines] == [str(at) for at in range(1, 10)]


class WithoutIds:
    """Lines as the embedded cloud gives them: some are alike, and of one time; pages end at four without a token."""

    def filter_log_events(self, **search: Any) -> Any:
        events = [(1, "a"), (2, "    ^^^"), (2, "b"), (2, "    ^^^"), (3, "c")]
        found = [{"logStreamName": "one", "timestamp": at, "message": text} for at, text in events]
        return {"events": [one for one in found if one["timestamp"] >= search["startTime"]][:4]}


def test_lines_that_are_alike_are_each_there_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloudwatch, "FULL_PAGE", 4)
    logs = CloudWatch("/amaas/prod/")
    logs.__dict__["_client"] = WithoutIds()
    lines, _ = search.find(logs, Search(first=0, last=NOW, functions=("watch",)), 100)
    assert [line.message for line in lines] == ["a", "    ^^^", "b", "    ^^^", "c"]
    again, _ = search.find(logs, Search(first=2, last=NOW, functions=("watch",)), 100)
    assert [line.id for line in again] == [line.id for line in lines[1:]]
