"""Servers of tests end with the tests, however these end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.servers import ROOT, Server

PROGRAM = """
import sys, time
from pathlib import Path
from tests.servers import Server
with Server(["sleep", "600"], Path(sys.argv[1])) as server:
    print(server.process.pid, flush=True)
    time.sleep(600)
"""


def runs(process: int) -> bool:
    """Whether it is there, and no zombie, which whoever adopts it may leave for a while."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_a_server_ends_with_a_process_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "log")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as tests:
        assert tests.stdout
        server = int(tests.stdout.readline())
        assert runs(server)
        tests.send_signal(signal.SIGKILL)
        tests.wait()
    deadline = time.monotonic() + 20
    while runs(server):
        if time.monotonic() > deadline:
            os.kill(server, signal.SIGKILL)
            raise AssertionError("the server goes on")
        time.sleep(0.05)


def test_a_server_that_was_left_has_no_guardian(tmp_path: Path) -> None:
    for end in ("block", "kill"):
        server = Server(["sleep", "600"], tmp_path / "log")
        assert server._guardian.poll() is None
        if end == "kill":
            server.kill()
        server.__exit__()
        assert server.process.poll() is not None and server._guardian.poll() is not None
