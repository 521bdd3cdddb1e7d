"""The embedded cloud is killed: nothing of it lives on, and the next start has lost nothing that was acknowledged."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from local import cloud
from tests.anywhere.conftest import ROOT, Clone

LOST = 600  # seconds after which a process that should have ended, or a file that should be gone, is taken to stay


def session(leader: int) -> list[int]:
    """The processes of a session, but zombies: nobody collects those of a killed parent in some containers."""
    members = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, _, _, of = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(of) == leader and state != "Z":
                members.append(int(entry.name))
    return members


def kill(process: int) -> None:
    os.kill(process, signal.SIGKILL)
    ended(process)


def ended(process: int) -> None:
    """Wait for the end of a process, which may be nobody's child here."""
    with contextlib.suppress(ProcessLookupError):
        watched = os.pidfd_open(process)
        try:
            assert select.select([watched], [], [], LOST)[0], f"{process} lives on"
        finally:
            os.close(watched)


def warm(clone: Clone) -> None:
    """Several workers of the inference function at once."""
    image = next((clone.folder / "examples" / "images").glob("*ankle-boot.png")).read_bytes()
    calls = [
        threading.Thread(target=clone.call, args=("POST", "/models/fashion-mnist/predict", image, "image/png"))
        for _ in range(4)
    ]
    for call in calls:
        call.start()
    for call in calls:
        call.join()


def announce(clone: Clone, model: str, body: bytes) -> tuple[str, urllib.request.Request]:
    """An upload's status path, and the request that sends its one file."""
    announced = json.dumps({"files": [{"name": "model.onnx", "size": len(body)}]}).encode()
    ticket = clone.call("POST", f"/models/{model}/uploads", announced)
    target = ticket["files"][0]
    return ticket["status_url"], urllib.request.Request(target["url"], body, target["headers"], method="PUT")


def test_after_kill_nothing_lives_on_and_an_acknowledged_upload_is_registered(clone: Clone) -> None:
    model = (ROOT / "layers" / "models" / "wine" / "model.onnx").read_bytes()
    warm(clone)
    status, put = announce(clone, "lost-event", model)
    leader = clone.cloud()
    workers = session(leader)
    assert len(workers) > 3
    with urllib.request.urlopen(put) as reply:
        assert reply.status == 200
    kill(leader)  # ingest takes a second to start: it has no verdict yet
    for worker in workers:
        ended(worker)
    assert session(leader) == []
    shown = clone.make("run")
    assert "that an earlier run left behind, in the background" in shown
    assert "uploads that now have a verdict: 1" in shown
    assert '"Ankle boot"' in shown
    assert clone.call("GET", status)["state"] == "registered"
    gone(clone.folder / ".local")


def gone(home: Path) -> None:
    """Wait for the leftovers' end, which `make run` did not wait for."""
    waited = time.monotonic() + LOST
    while list(home.glob(f"{cloud.LEFTOVER}*")):
        assert time.monotonic() < waited, "what the earlier run left is still there"
        time.sleep(0.1)


def test_processes_of_this_home_are_ended_and_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud, "TEMP", tmp_path / "tmp")
    code = "import sys; print('up', flush=True); sys.stdin.read()"
    processes = {}
    for name in ("tmp", "tmp-other"):
        processes[name] = subprocess.Popen(
            [sys.executable, "-c", code],
            env={"TMPDIR": str(tmp_path / name)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
    try:
        for process in processes.values():
            assert process.stdout
            assert process.stdout.readline() == b"up\n"
        assert cloud._end_survivors() == 1
        assert processes["tmp"].wait(LOST) == -signal.SIGKILL
        assert processes["tmp-other"].poll() is None
    finally:
        for process in processes.values():
            process.kill()
            process.communicate()


def test_the_guardian_ends_the_group_when_the_pipe_ends(tmp_path: Path) -> None:
    worker = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], start_new_session=True)
    guardian = subprocess.Popen(
        [sys.executable, "-I", str(ROOT / "local" / "guardian.py"), str(worker.pid)], stdin=subprocess.PIPE
    )
    try:
        assert worker.poll() is None
        guardian.communicate()
        assert worker.wait(LOST) == -signal.SIGKILL
    finally:
        worker.kill()
        worker.wait()
