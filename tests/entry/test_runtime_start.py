"""The start of our loop: what keeps a function from being started, snapshots, and where the log's lines go."""

from __future__ import annotations

import json
import os
import queue
from pathlib import Path

import pytest

from tests.entry.runtime_api import PATIENCE, running

HOOKED = """
from snapshot_restore_py import register_after_restore, register_before_snapshot

done = []
register_before_snapshot(done.append, "before 1")
register_before_snapshot(done.append, "before 2")
register_after_restore(done.append, "after 1")
register_after_restore(done.append, "after 2")

def handler(event, context):
    return done
"""

LOGGING = """
import logging, sys
from shared import metrics

def handler(event, context):
    logging.getLogger("shared.x").info("two\\nlines", extra={"n": 1})
    logging.getLogger("other").error("é")
    metrics.emit("Errors", 1)
    print("a plain line")
    return None
"""

ANSWER = "def handler(event, context):\n    return 1\n"


@pytest.mark.parametrize(
    ("source", "handler", "kind", "said"),
    [
        ("import nothing_of_this_name\n", "fn.handler", "Runtime.ImportModuleError", "nothing_of_this_name"),
        ("def (\n", "fn.handler", "Runtime.UserCodeSyntaxError", "Syntax error in module 'fn'"),
        (ANSWER, "fn.other", "Runtime.HandlerNotFound", "'other' missing on module 'fn'"),
        (ANSWER, "fn", "Runtime.MalformedHandlerName", "'fn'"),
        ("raise AttributeError('mine')\n", "fn.handler", "AttributeError", "mine"),
    ],
)
def test_a_function_that_cannot_be_started_says_why(
    tmp_path: Path, source: str, handler: str, kind: str, said: str
) -> None:
    with running(tmp_path, source, handler) as function:
        post = function.api.posts.get(timeout=PATIENCE)
        assert post.path == "/2018-06-01/runtime/init/error"
        assert post.headers["Lambda-Runtime-Function-Error-Type"] == kind
        assert post.json()["errorType"] == kind and said in post.json()["errorMessage"]
        assert function.end() == 1
        assert function.lines()[0]["stackTrace"] and function.api.gets == []


def test_a_folder_with_slashes_is_a_module_too(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "er.py").write_text(ANSWER)
    with running(tmp_path, "", "deep/er.handler") as function:
        assert function.api.call({}).json() == 1


def test_a_snapshot_runs_the_hooks_around_it(tmp_path: Path) -> None:
    with running(tmp_path, HOOKED, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start") as function:
        function.api.begin({})
        with pytest.raises(queue.Empty):  # it waits for being restored
            function.api.posts.get(timeout=1)
        assert function.api.gets == ["/2018-06-01/runtime/restore/next"]
        function.api.restored.set()
        assert function.api.posts.get(timeout=PATIENCE).json() == ["before 2", "before 1", "after 1", "after 2"]


def test_without_a_snapshot_no_hook_runs(tmp_path: Path) -> None:
    with running(tmp_path, HOOKED, AWS_LAMBDA_INITIALIZATION_TYPE="on-demand") as function:
        assert function.api.call({}).json() == []


@pytest.mark.parametrize(
    ("hook", "path", "kind", "status"),
    [
        ("register_before_snapshot", "init/error", "Runtime.BeforeSnapshotError", 64),
        ("register_after_restore", "restore/error", "Runtime.AfterRestoreError", 65),
    ],
)
def test_a_hook_that_fails_is_reported(tmp_path: Path, hook: str, path: str, kind: str, status: int) -> None:
    source = f"import snapshot_restore_py as hooks\nhooks.{hook}(int, 'no number')\n" + ANSWER
    with running(tmp_path, source, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start") as function:
        function.api.restored.set()
        post = function.api.posts.get(timeout=PATIENCE)
        assert post.path == f"/2018-06-01/runtime/{path}"
        assert post.headers["Lambda-Runtime-Function-Error-Type"] == kind
        assert "no number" in post.json()["errorMessage"]
        assert function.end() == status


def test_the_log_is_lines_of_json_with_the_call_that_wrote_them(tmp_path: Path) -> None:
    with running(tmp_path, LOGGING) as function:
        assert function.api.call({}).json() is None
        info, error, figure = function.lines()
    assert (info["message"], info["n"], info["level"], info["requestId"]) == ("two\nlines", 1, "INFO", "call-1")
    assert (error["message"], error["level"]) == ("é", "ERROR")
    assert figure["Errors"] == 1 and "_aws" in figure
    assert "\na plain line\n" in function.log.read_text()


def test_the_embedded_clouds_log_has_the_same_lines(tmp_path: Path) -> None:
    with running(tmp_path, LOGGING, AWS_LAMBDA_LOG_FORMAT="Text") as function:
        function.api.call({})
        assert [line["message"] for line in function.lines()] == ["two\nlines", "é", "Errors"]


def test_lambda_gets_the_log_in_frames(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.set_inheritable(write, True)
    with running(tmp_path, LOGGING, _LAMBDA_TELEMETRY_LOG_FD=str(write)) as function:
        os.close(write)
        function.api.call({})
        said = os.read(read, 1 << 16)
    os.close(read)
    frames = []
    while said:
        kind, length = said[:4].hex(), int.from_bytes(said[4:8], "big")
        assert int.from_bytes(said[8:16], "big") > 1.7e15  # microseconds since the epoch
        frames.append((kind, json.loads(said[16 : 16 + length])["message"]))
        said = said[16 + length :]
    assert frames == [("a55a000e", "two\nlines"), ("a55a0016", "é")]  # what AWS's client has for INFO and ERROR
    assert [line["message"] for line in function.lines()] == ["Errors"]
