"""Work after the answer, under Amazon's runtime emulator: its Extensions API, its runtime client."""

from __future__ import annotations

import http.server
import site
import threading
from pathlib import Path

import pytest

from shared.entry import extension
from tests import emulator
from tests.servers import ROOT

FUNCTION = """
import os, time
from shared.entry import extension

def work(seconds):
    with open(os.environ["MARK"], "a") as file:
        file.write(f"{seconds:.0f}\\n")

after = extension.begin(work)

def handler(event, context):
    done = open(os.environ["MARK"]).read().count("\\n") if os.path.exists(os.environ["MARK"]) else 0
    after.answered()
    return {"statusCode": 200, "done": done}
"""


def test_work_is_done_after_each_answer_and_before_the_next_call(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "fn.py").write_text(FUNCTION)
    (tmp_path / "layer" / "python").mkdir(parents=True)
    (tmp_path / "layer" / "python" / "shared").symlink_to(ROOT / "shared")
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "python").symlink_to(site.getsitepackages()[0])
    mark = tmp_path / "mark"
    function = emulator.Function(
        tmp_path / "code", "fn.handler", [tmp_path / "layer", tmp_path / "packages"], {"MARK": str(mark)}
    )
    started = emulator.start(function, {}, emulator.runtime(tmp_path / "runtime"), tmp_path / "log")
    assert started.answer == {"statusCode": 200, "done": 0}
    left = [int(line) for line in mark.read_text().splitlines()]
    assert len(left) == 2
    assert all(25 <= seconds <= 30 for seconds in left)  # of the function's 30


def test_elsewhere_there_is_no_extension(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_LAMBDA_RUNTIME_API", raising=False)
    assert extension.begin(print) is None


def test_a_lambda_that_takes_no_extension_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Refusing(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_error(403)

        def log_message(self, *args: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_LAMBDA_RUNTIME_API", f"127.0.0.1:{server.server_port}")
        assert extension.begin(print) is None
        server.shutdown()
    assert "does not take the extension" in caplog.records[0].why  # type: ignore[attr-defined]  # from `extra`
    assert extension.begin(print) is None  # nobody listens
