"""The timer of the inbox: how the machine is started, and what ingest does at its end."""

from __future__ import annotations

import json
from typing import Any

import boto3
import msgspec
import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber

from functions.ingest import app
from shared.config import Config
from shared.errors import Unavailable
from shared.registry.log import Log
from shared.storage.memory import MemoryStore
from shared.uploads.quiet import QuietFolder
from shared.uploads.quiet_machine import QuietMachine
from tests.support import linear, s3_event

ARN = "arn:aws:states:us-east-1:123456789012:stateMachine:amaas-inbox"
FOLDER = QuietFolder("m", "0123456789abcdef" * 2, "s3:ann")


@pytest.fixture
def client() -> Any:
    return boto3.client("stepfunctions", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")


@pytest.mark.parametrize(("last", "seconds", "name"), [(False, 20, "first"), (True, 300, "last")])
def test_an_execution_is_named_after_what_was_seen(client: Any, last: bool, seconds: int, name: str) -> None:
    folder = msgspec.structs.replace(FOLDER, last=last)
    event = {"model": "m", "seen": FOLDER.seen, "by": "s3:ann", "last": last, "look": "inbox"}
    wanted = json.dumps({"seconds": seconds, "event": event}, separators=(",", ":"))
    with Stubber(client) as stub:
        expected = {"stateMachineArn": ARN, "name": f"{FOLDER.seen}-{name}", "input": wanted}
        stub.add_response("start_execution", {"executionArn": ARN, "startDate": 0}, expected)
        stub.add_client_error("start_execution", "ExecutionAlreadyExists")
        machine = QuietMachine(ARN, 20, client=client)
        machine.start(folder)
        machine.start(folder)  # another event saw the same
        stub.assert_no_pending_responses()


def test_a_timer_that_cannot_be_started_is_tried_again(client: Any) -> None:
    with Stubber(client) as stub:
        stub.add_client_error("start_execution", "ThrottlingException")
        with pytest.raises(Unavailable, match="ThrottlingException; try again"):
            QuietMachine(ARN, 20, client=client).start(FOLDER)

    class Dead:
        def start_execution(self, **_: Any) -> None:
            raise EndpointConnectionError(endpoint_url="http://localhost")

    with pytest.raises(Unavailable, match="cannot be reached"):
        QuietMachine(ARN, 20, client=Dead()).start(FOLDER)


def test_the_event_at_the_end_is_what_was_handed_to_the_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[QuietFolder] = []

    class Timers:
        def start(self, folder: QuietFolder) -> None:
            started.append(folder)

    log = Log(MemoryStore())
    monkeypatch.setattr(app, "log", lambda: log)
    monkeypatch.setattr(app, "config", lambda: Config(bucket="unused"))
    monkeypatch.setattr(app, "timer", Timers)
    log.store.put("inbox/m/model.onnx", linear([[1.0], [0.0]]))
    assert app.handler(s3_event("inbox/m/model.onnx"), None) == {"handled": []}
    [folder] = started
    [upload] = app.handler(json.loads(msgspec.json.encode(folder)), None)["handled"]
    assert (upload["state"], upload["version"]) == ("registered", 1)


def test_without_a_machine_or_seconds_nothing_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for settings in (Config(bucket="b"), Config(bucket="b", inbox_timer=ARN, inbox_quiet=0)):
        monkeypatch.setattr(app, "config", lambda settings=settings: settings)
        app.timer.cache_clear()
        assert app.timer() is None
    app.timer.cache_clear()
