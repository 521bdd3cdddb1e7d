"""Our client of the Runtime API under Amazon's emulator, which has the real API but cannot stream."""

from __future__ import annotations

import json
import site
import subprocess
from pathlib import Path
from typing import Any

from tests import emulator
from tests.entry.runtime_api import START
from tests.servers import ROOT

FIXTURE = ROOT / "tests" / "fixtures" / "streaming" / "code"
GATEWAY = {"httpMethod": "POST", "path": "/", "requestContext": {}, "body": '{"parts": 3}'}


def function(folder: Path, **variables: str) -> emulator.Function:
    layer = folder / "layer" / "python"
    layer.mkdir(parents=True)
    (layer / "shared").symlink_to(ROOT / "shared")
    (folder / "packages").mkdir()
    (folder / "packages" / "python").symlink_to(site.getsitepackages()[0])
    layers = [folder / "layer", folder / "packages"]
    return emulator.Function(FIXTURE, "app.handler", layers, variables, START)


def ask(running: tuple[int, subprocess.Popen[bytes]], event: Any) -> bytes:
    connection = emulator.connected(*running)
    connection.request("POST", emulator.INVOKE, json.dumps(event))
    return connection.getresponse().read()


def test_whole_answers_and_errors(tmp_path: Path) -> None:
    with emulator.running(function(tmp_path), emulator.runtime(tmp_path / "runtime"), tmp_path / "log") as running:
        answers = [json.loads(ask(running, GATEWAY)) for _ in range(2)]
        failed = json.loads(ask(running, {"raise": True}))
        large = json.loads(ask(running, {"parts": 50, "large": 80_000}))
    for answer in answers:
        assert answer["statusCode"] == 200 and len(answer["body"].splitlines()) == 3
    assert (failed["errorType"], failed["errorMessage"]) == ("ValueError", "as the call has wished")
    assert len(large["body"]) > 4_000_000
    log = (tmp_path / "log").read_text()
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert {line["message"] for line in lines} >= {"begun", "unhandled"}
    assert all(line["requestId"] for line in lines)


def test_a_streamed_answer_keeps_its_form(tmp_path: Path) -> None:
    mode = {"RESPONSE_TRANSFER_MODE": "RESPONSE_STREAM"}
    runtime = emulator.runtime(tmp_path / "runtime")
    with emulator.running(function(tmp_path, **mode), runtime, tmp_path / "log") as running:
        body = ask(running, GATEWAY)
        prelude, _, sent = body.partition(b"\0" * 8)
        assert json.loads(prelude)["statusCode"] == 200 and len(sent.splitlines()) == 3
        assert json.loads(ask(running, {"parts": 1}))["statusCode"] == 200  # it goes on
