"""Start and stop the embedded cloud (MiniStack) on the loopback interface, with its state in the home folder.

Only processes that this module started are ever ended: the one in its pid file, and those that inherited its TMPDIR.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

from local import room
from local.settings import HOME, STATE, say, tool
from tools import debian, processors

HOST = "127.0.0.1"
PID = HOME / "cloud.pid"
PORT = HOME / "cloud.port"
LOG = HOME / "cloud.log"
LOCK = HOME / "cloud.lock"
PROGRAM = HOME / "cloud.program"  # digest of the sources that it was started from
TEMP = HOME / "tmp"
LEFTOVER = "tmp-left-"  # prefix of an ended cloud's TEMP, until it is removed
PROCESSOR = "AMAAS_PROCESSOR"
START_TIMEOUT = 60
STOP_TIMEOUT = 60


def start() -> str:
    """The cloud's endpoint; started if it is not running. Raises SystemExit if it does not start."""
    with _alone():
        endpoint = running()
        if endpoint and PROGRAM.exists() and PROGRAM.read_text() == _program():
            return endpoint
        if endpoint:
            say("the running embedded cloud was started from other sources: restarting it")
            stop()
        room.check(HOME)
        _clear()
        port = _choose_port()
        _spawn(port)
    endpoint = f"http://{HOST}:{port}"
    deadline = time.monotonic() + START_TIMEOUT
    while not healthy(endpoint):
        if pid() is None or time.monotonic() > deadline:
            raise SystemExit(f"the embedded cloud did not start; its log is {LOG}")
        time.sleep(0.05)
    return endpoint


def stop() -> bool:
    """End the process in the pid file, which saves its state first. False if there was none."""
    process = pid()
    if process is None:
        return False
    os.kill(process, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT
    while pid() is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    # it leads a session of its own, so this reaches its workers and nothing else
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)
    PID.unlink(missing_ok=True)
    _remove_leftovers()
    return True


def crashed() -> bool:
    """Whether the last cloud of this home ended without stop(), which removes the pid file."""
    return PID.exists() and pid() is None


def running() -> str | None:
    """The endpoint of the cloud that this home started, if it answers."""
    if pid() is None or not PORT.exists():
        return None
    endpoint = f"http://{HOST}:{PORT.read_text().strip()}"
    return endpoint if healthy(endpoint) else None


def pid() -> int | None:
    """The process in the pid file, if it is still the one that was started."""
    try:
        number, _, started = PID.read_text().partition(" ")
        return int(number) if _start_time(int(number)) == started.strip() else None
    except (FileNotFoundError, ValueError):
        return None


def healthy(endpoint: str) -> bool:
    try:
        with urllib.request.urlopen(endpoint + "/_ministack/health", timeout=5) as reply:
            return bool(json.load(reply))
    except (OSError, ValueError):
        return False


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One start at a time: a second one would take the first one's cloud for a leftover."""
    HOME.mkdir(parents=True, exist_ok=True)
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _clear() -> None:
    """Clean up after a cloud that was killed together with its guardian: end its processes, remove its files."""
    number = _end_survivors()
    if number:
        say(f"ended {number} processes of functions that an earlier run left behind")
    folders = _remove_leftovers()
    if folders:
        say(f"removing {folders} folders of functions that an earlier run left behind, in the background")


def _end_survivors() -> int:
    """Kill the processes whose environment says that they belong to this home; without /proc, none."""
    mark, number = b"TMPDIR=" + os.fsencode(TEMP), 0
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                os.kill(int(entry.name), signal.SIGKILL)
                number += 1
        except OSError:
            continue  # it ended meanwhile, or is another user's
    return number


def _remove_leftovers() -> int:
    """Have the folders of ended workers removed, by a process that nobody waits for; returns how many were in TEMP.

    Each worker unpacked a copy of its layers, more than a thousand files: removing many takes minutes. Leftovers of an
    interrupted removal are removed with them.
    """
    number, nothing = 0, subprocess.DEVNULL
    if TEMP.exists():
        number = len(list(TEMP.iterdir()))
        TEMP.rename(HOME / f"{LEFTOVER}{uuid.uuid4().hex}")
    leftovers = list(HOME.glob(f"{LEFTOVER}*"))
    if leftovers:
        command = ["nice", "rm", "-rf", "--", *map(str, leftovers)]
        subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True)
    return number


def _spawn(port: int) -> None:
    for folder in (STATE / "services", STATE / "s3", TEMP):
        folder.mkdir(parents=True, exist_ok=True)
    with LOG.open("ab") as log:
        process = subprocess.Popen(
            [tool("cloud", "python"), str(Path(__file__).with_name("embedded.py"))],
            cwd=HOME,
            env=_environment(port),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    PROGRAM.write_text(_program())
    PORT.write_text(str(port))
    PID.write_text(f"{process.pid} {_start_time(process.pid)}")


def _program() -> str:
    """A digest of the sources that a cloud is started from: a pull may change them."""
    sources = [Path(__file__).with_name(name).read_bytes() for name in ("embedded.py", "guardian.py", "streaming.py")]
    return hashlib.sha256(b"".join([*sources, os.environ.get(PROCESSOR, "").encode()])).hexdigest()


def _environment(port: int) -> dict[str, str]:
    """The complete environment: functions inherit the cloud's, and must not see the caller's."""
    return _worker() | {
        "PATH": os.defpath,
        "HOME": str(TEMP),
        "LANG": "C.UTF-8",
        "TMPDIR": str(TEMP),
        "GATEWAY_PORT": str(port),
        "BIND_HOST": HOST,
        "IOT_MTLS_ENABLED": "0",  # unused here, and it would listen on all addresses
        "MINISTACK_HOST": HOST,
        "PERSIST_STATE": "1",
        "STATE_DIR": str(STATE / "services"),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(STATE / "s3"),
        "LAMBDA_WARM_TTL_SECONDS": "1800",
        "LOG_LEVEL": "WARNING",
    }


def _worker() -> dict[str, str]:
    """Variables to run functions as another processor (AMAAS_PROCESSOR=Haswell): in QEMU, slow and exact."""
    if not os.environ.get(PROCESSOR):
        return {}
    try:
        return {"AMAAS_WORKER_PYTHON": str(processors.python(os.environ[PROCESSOR]))}
    except debian.Missing as error:
        raise SystemExit(str(error)) from error


def _choose_port() -> int:
    """AMAAS_PORT, else the port of last time (the API's address contains it), else 4566 or the next free one."""
    preferred = int(os.environ.get("AMAAS_PORT") or (PORT.read_text() if PORT.exists() else 4566))
    for port in range(preferred, preferred + 50):
        if _free(port):
            if port != preferred:
                say(f"port {preferred} is in use: using {port}")
            return port
    raise SystemExit(f"no free port from {preferred} to {preferred + 49}: choose one with AMAAS_PORT")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _start_time(process: int) -> str:
    """Distinguishes a process from a later one with the same number. Empty if there is none, or it is dead."""
    try:
        if Path("/proc/self/stat").exists():
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            return "" if fields[0] == "Z" else fields[19]
        listing = subprocess.run(
            ["ps", "-o", "lstart=", "-p", str(process)], capture_output=True, text=True, check=False
        )
        return listing.stdout.strip()
    except OSError:
        return ""


if __name__ == "__main__":
    stopped = stop()
    if sys.argv[1:] == ["stop"]:
        print("stopped; its state stays on the disk" if stopped else "not running")
    elif stopped:
        print("stopped the embedded cloud: its Python environment is being rebuilt; make run starts it again")
