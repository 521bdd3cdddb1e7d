"""Servers on the loopback interface, for tests and measurements: real S3 servers, and any other command.

Each runs in a session of its own, so that stopping it reaches its workers and nothing else.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shared.storage.s3 import S3Store

ROOT = Path(__file__).resolve().parents[1]
GUARDIAN = ROOT / "local" / "guardian.py"
HOST = "127.0.0.1"
START = 60  # seconds
TICKS = os.sysconf("SC_CLK_TCK")
SERVERS = ("moto", "ministack", "seaweedfs")


class Server:
    """A running command with the processes it started. Leaving the block stops them, and so does this process' end."""

    def __init__(self, command: list[str], log: Path, **options: Any) -> None:
        with log.open("ab") as out:
            streams = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": out}
            self.process = subprocess.Popen(command, start_new_session=True, **streams, **options)
        # a worker of pytest-xdist that is killed leaves no block: the guardian then ends the command's group
        guard = [sys.executable, "-I", "-S", str(GUARDIAN), str(self.process.pid)]
        self._guardian = subprocess.Popen(guard, start_new_session=True, stdin=subprocess.PIPE)
        self.log = log

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self._dismiss()
        others = [pid for pid in self._processes() if pid != self.process.pid]
        for sign, patience in ((signal.SIGTERM, 20), (signal.SIGKILL, 5)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(patience)  # SIGKILL follows in any case, for whoever outlived the leader
        for pid in others:  # workers in sessions of their own, should they have outlived it too
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def kill(self) -> None:
        """End all its processes at once, with no chance to write anything."""
        self._dismiss()
        for pid in self._processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def _dismiss(self) -> None:
        """The guardian, before the number of the group may be another one's."""
        self._guardian.kill()
        self._guardian.wait()
        assert self._guardian.stdin
        self._guardian.stdin.close()

    def wait_for(self, url: str, timeout: float = START) -> None:
        """Until the URL answers 200. Raises RuntimeError with the end of the log when it does not."""
        deadline = time.monotonic() + timeout
        while not _answers(url):
            if self.process.poll() is not None or time.monotonic() > deadline:
                end = self.log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{self.process.args[0]} did not answer {url}:\n{end}")  # type: ignore[index]
            time.sleep(0.1)

    def cpu(self) -> float:
        """Seconds of CPU time that its living processes used so far."""
        return sum(int(fields[11]) + int(fields[12]) for fields in self._processes().values()) / TICKS

    def memory(self) -> tuple[int, int]:
        """Resident bytes of its processes, pages they share counted for each; and how many processes there are."""
        pages = [int(fields[21]) for fields in self._processes().values()]
        return sum(pages) * os.sysconf("SC_PAGE_SIZE"), len(pages)

    def _processes(self) -> dict[int, list[str]]:
        """Those of its session, and what they started in others: by number, /proc's stat from the state on."""
        every: dict[int, list[str]] = {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                every[int(path.parent.name)] = path.read_text().rpartition(")")[2].split()
        members = {pid for pid, fields in every.items() if int(fields[3]) == self.process.pid}
        while more := {pid for pid, fields in every.items() if int(fields[1]) in members} - members:
            members |= more
        return {pid: every[pid] for pid in members}


def free_ports(count: int) -> list[int]:
    """Ports that were free together a moment ago, each with its neighbor 10,000 above (SeaweedFS takes that, too)."""
    ports: list[int] = []
    while len(ports) < count:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port < 55000 and port not in ports:
            ports.append(port)
    return ports


@contextmanager
def moto() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@contextmanager
def ministack(home: Path) -> Iterator[str]:
    """The embedded cloud's S3, in memory."""
    [port] = free_ports(1)
    python = ROOT / ".local" / "envs" / "cloud" / "bin" / "python"
    env = {"PATH": os.defpath, "HOME": str(home), "LANG": "C.UTF-8", "TMPDIR": str(home), "GATEWAY_PORT": str(port)}
    env |= {"BIND_HOST": "127.0.0.1", "MINISTACK_HOST": "127.0.0.1", "LOG_LEVEL": "ERROR"}
    with running([str(python), "-m", "ministack"], home, env, f"http://127.0.0.1:{port}/_ministack/health"):
        yield f"http://127.0.0.1:{port}"


class SeaweedFS:
    """A SeaweedFS server with its S3 gateway, which may be killed, and comes back with what it had.

    It reports to its makers by default: that is off here. endpoint: of S3, the same after a kill.
    """

    def __init__(self, home: Path) -> None:
        names = "master.port master.port.grpc volume.port volume.port.grpc filer.port filer.port.grpc s3.port"
        names += " s3.port.grpc admin.port"
        ports = dict(zip(names.split(), free_ports(9), strict=True))
        identity = {"name": "test", "credentials": [{"accessKey": "test", "secretKey": "test"}]}
        config = {"identities": [identity | {"actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}
        (home / "s3.json").write_text(json.dumps(config))
        weed = shutil.which("weed", path=str(Path(sys.executable).parent)) or "weed"
        command = [weed, f"-logdir={home}", "mini", f"-dir={home / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
        command += [f"-{name}={port}" for name, port in ports.items()]
        command += [f"-s3.config={home / 's3.json'}", "-master.telemetry=false", "-s3.port.iceberg=0"]
        # each bucket takes volumes of its own; by default there are as many as the disk's free space has room for
        command += ["-s3.port.lance=0", "-webdav=false", "-admin.ui=false", "-volume.max=4000"]
        (home / "data").mkdir()
        self._home, self._command = home, command
        self.endpoint = f"http://127.0.0.1:{ports['s3.port']}"
        self._server = self._begin()

    def kill(self) -> None:
        """SIGKILL, in the midst of whatever it does."""
        self._server.kill()

    def start(self) -> None:
        """After `kill`: with the same data, until it answers."""
        self._server = self._begin()

    def stop(self) -> None:
        """At once: asked to end, it waits twenty seconds for a cluster that it has not, and nobody needs its data."""
        self._server.kill()

    def _begin(self) -> Server:
        env = {"PATH": os.defpath, "HOME": str(self._home), "TMPDIR": str(self._home)}
        server = Server(self._command, self._home / "log", cwd=self._home, env=env)
        try:
            server.wait_for(f"{self.endpoint}/status")
        except BaseException:
            server.__exit__()
            raise
        return server


@contextmanager
def seaweedfs(home: Path) -> Iterator[str]:
    server = SeaweedFS(home)
    try:
        yield server.endpoint
    finally:
        server.stop()


@contextmanager
def running(command: list[str], home: Path, env: dict[str, str], ready: str) -> Iterator[None]:
    with Server(command, home / "log", cwd=home, env=env) as server:
        server.wait_for(ready)
        yield


def credentials(endpoint: str) -> None:
    """Let the SDK of this process, and of those it starts, talk to this S3 server and to nobody else."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    os.environ |= {"AWS_ENDPOINT_URL": endpoint, "AWS_EC2_METADATA_DISABLED": "true"}


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def bucket(endpoint: str, *, versions: bool = True) -> S3Store:
    """A store in a new bucket; with versions, as the product's bucket has them."""
    # imported here: the tests of training load this file, too, and have no boto3
    from shared.storage.s3 import S3Store

    store = S3Store(f"b-{uuid.uuid4().hex[:16]}", endpoint)
    store.client.create_bucket(Bucket=store.bucket)
    if versions:
        store.client.put_bucket_versioning(Bucket=store.bucket, VersioningConfiguration={"Status": "Enabled"})
    return store
