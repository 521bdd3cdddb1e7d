"""A function's log, and a handler called by hand, on the local deployment: docs/logs.md."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from local import logs
from local.invoke import gateway_event
from tests.cloud.conftest import Cloud
from tests.servers import ROOT
from tests.support import linear


def by_hand(cloud: Cloud, *arguments: str) -> str:
    env = {"PATH": os.defpath, "AMAAS_HOME": str(cloud.home)}
    command = [sys.executable, "-m", "local.invoke", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def written(cloud: Cloud, function: str) -> list[dict[str, Any]]:
    lines = cloud._local("local.logs", function, "--json").splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]  # the cloud's own begin otherwise


def test_the_log_says_what_became_of_an_upload(cloud: Cloud) -> None:
    cloud.upload("by-hand", {"model.onnx": linear([[1.0]])})
    refused = cloud.upload("by-hand", {"model.onnx": b"not a model"})
    lines = [
        json.loads(line) for line in cloud._local("local.logs", "ingest", "--json").splitlines() if line[:1] == "{"
    ]
    [rejected] = [line for line in lines if line["message"] == "rejected" and line["upload"] == refused["upload_id"]]
    assert (rejected["level"], rejected["code"]) == ("INFO", "not_onnx")
    [transition] = [line for line in lines if line["message"] == "transition" and line["model"] == "by-hand"]
    assert transition["revision"] == 1
    text = cloud._local("local.logs", "ingest")
    assert f"INFO    rejected  upload={refused['upload_id']}  code=not_onnx" in text
    assert {line["status"] for line in written(cloud, "upload")} >= {200, 201}


def test_a_handler_is_called_by_hand(cloud: Cloud) -> None:
    cloud.upload("by-hand", {"model.onnx": linear([[1.0]])})
    log, _, answer = by_hand(cloud, "registry", "--path", "/models/by-hand?x=1").partition("\n{\n")
    assert json.loads(json.loads("{" + answer)["body"])["name"] == "by-hand"
    assert json.loads(log.splitlines()[-1])["message"] == "call"


INFO = {"timestamp": "2026-01-02T03:04:05.678Z", "level": "INFO", "message": "m"}
ERROR = {"timestamp": "2026-01-02T03:04:05Z", "level": "ERROR", "message": "m", "errorType": "E"}


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("START RequestId: 1", "START RequestId: 1"),
        ('{"a": 1}', '{"a": 1}'),
        (json.dumps(INFO | {"why": "a b", "n": 1, "w": "x"}), '03:04:05.678 INFO    m  why="a b"  n=1  w=x'),
        (json.dumps(ERROR | {"stackTrace": ["f"]}), "03:04:05Z    ERROR   m  E: \n    f"),
        (json.dumps(INFO | {"why": "a\nforged \x1b[2J"}), r'03:04:05.678 INFO    m  why="a\nforged \u001b[2J"'),
    ],
)
def test_lines_are_readable(line: str, text: str) -> None:
    assert logs.readable(line) == text


def test_an_event_is_as_the_gateway_makes_it() -> None:
    event = gateway_event("/models?limit=3&tag=a", "POST", b"{}", "application/json")
    assert (event["path"], event["queryStringParameters"]) == ("/models", {"limit": "3", "tag": "a"})
    assert (event["body"], event["isBase64Encoded"]) == ("e30=", True)
