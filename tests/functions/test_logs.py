"""A function's log where Lambda's runtime does not write it. Where it does: tests/cloud/test_logs.py."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared import logs

logger = logging.getLogger("shared.tested")


@pytest.fixture
def out(capsys: pytest.CaptureFixture) -> Iterator[pytest.CaptureFixture]:
    """Standard output, whatever logs.configure makes of the log; the tests' own set-up comes back."""
    root = logging.getLogger()
    handlers, levels = root.handlers, {name: logging.getLogger(name).level for name in ("", *logs.OURS)}
    yield capsys
    root.handlers = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def written(out: pytest.CaptureFixture) -> dict[str, object]:
    [line] = out.readouterr().out.splitlines()
    return json.loads(line)


def test_a_line_has_lambdas_fields_and_those_of_extra(out: pytest.CaptureFixture) -> None:
    logs.configure()
    logger.info("rejected", extra={"upload": "u1", "path": Path("/tmp"), "none": None})
    line = written(out)
    stamp = str(line.pop("timestamp"))
    assert len(stamp) == len("2026-01-01T00:00:00.000Z")
    assert line == {
        "level": "INFO",
        "message": "rejected",
        "logger": "shared.tested",
        "upload": "u1",
        "path": "/tmp",
        "none": None,
    }


def test_an_exception_says_where_it_came_from(out: pytest.CaptureFixture) -> None:
    logs.configure()
    try:
        raise KeyError("b\nc")
    except KeyError:
        logger.exception("unexpected", extra={"request_id": "r1"})
    line = written(out)
    assert (line["level"], line["errorType"], line["request_id"]) == ("ERROR", "KeyError", "r1")
    assert "test_logs" in str(line["stackTrace"])


@pytest.mark.parametrize("text", ["a\nb", "a\r\nb", "half \ud800", "\u2028", "a\x00b", '{"level": "ERROR"}\n'])
def test_what_a_user_sends_stays_one_line(out: pytest.CaptureFixture, text: str) -> None:
    logs.configure()
    logger.info(text, extra={"why": text, "keys": [text]})
    line = written(out)
    assert (line["message"], line["why"], line["keys"], line["level"]) == (text, text, [text], "INFO")


@pytest.mark.parametrize(
    ("variable", "level", "expected"),
    [
        ("AMAAS_LOG_LEVEL", "DEBUG", ["shared.a DEBUG", "shared.a INFO", "shared.a WARNING", "botocore WARNING"]),
        ("AMAAS_LOG_LEVEL", "", ["shared.a INFO", "shared.a WARNING", "botocore WARNING"]),
        ("AWS_LAMBDA_LOG_LEVEL", "WARN", ["shared.a WARNING", "botocore WARNING"]),
        ("AWS_LAMBDA_LOG_LEVEL", "ERROR", []),
    ],
)
def test_one_level_moves_all_of_it(
    out: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch, variable: str, level: str, expected: list[str]
) -> None:
    """But for the SDK's DEBUG lines, which hold session tokens."""
    monkeypatch.setenv(variable, level)
    logs.configure()
    for name in ("shared.a", "botocore"):
        for number in (logging.DEBUG, logging.INFO, logging.WARNING):
            logging.getLogger(name).log(number, "m")
    lines = [json.loads(line) for line in out.readouterr().out.splitlines()]
    assert [f"{line['logger']} {line['level']}" for line in lines] == expected


FUNCTIONS = sorted(path.parent.name for path in Path("functions").glob("*/app.py"))
IMPORTED = """
import importlib, logging, sys
importlib.import_module(sys.argv[1])
print(logging.getLogger(sys.argv[1]).getEffectiveLevel(), len(logging.getLogger().handlers))
"""


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_function_sets_its_log_up(name: str) -> None:
    env = {"PATH": "/usr/bin:/bin", "AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_DEFAULT_REGION": "us-east-1", "BUCKET": "b"}
    env |= {"MODELS_DIR": "/nowhere", "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "PREFETCH": ""}
    command = [sys.executable, "-c", IMPORTED, f"functions.{name}.app"]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"{logging.INFO} 1"
