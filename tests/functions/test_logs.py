"""The functions' log lines: the fields that Powertools writes, one line each, whatever is in them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from aws_lambda_powertools import Logger

from shared.logs import Lines


def written(capsys: pytest.CaptureFixture) -> dict[str, object]:
    [line] = capsys.readouterr().out.splitlines()
    return json.loads(line)


def test_the_fields_are_powertools(capsys: pytest.CaptureFixture) -> None:
    out = io.StringIO()
    Logger(service="s", utc=True, stream=out).info("call", extra={"status": 200})
    Lines("s").info("call", status=200)
    theirs, ours = json.loads(out.getvalue()), written(capsys)
    assert set(theirs) - set(ours) == {"location"}
    assert {name: ours[name] for name in ("level", "message", "service", "status")} == {
        name: theirs[name] for name in ("level", "message", "service", "status")
    }
    assert len(str(ours["timestamp"])) == len("2026-01-01T00:00:00.000Z")


def test_an_exception_says_where_it_came_from(capsys: pytest.CaptureFixture) -> None:
    try:
        raise KeyError("b\nc")
    except KeyError:
        Lines("s").exception("unexpected", request_id="r1")
    line = written(capsys)
    assert (line["level"], line["exception_name"], line["request_id"]) == ("ERROR", "KeyError", "r1")
    assert "test_logs" in str(line["exception"])


def test_any_value_can_be_told(capsys: pytest.CaptureFixture) -> None:
    Lines("s").info("m", path=Path("/tmp"), odd={1: {2}}, text="line\nbreak \ud800")
    assert written(capsys)["path"] == "/tmp"
