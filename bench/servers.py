"""The servers that the benchmark starts beside itself: on free ports of the loopback interface, each in a session of
its own, so that stopping one reaches its workers and nothing else."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
WORKERS = 4  # MLflow's default; the HTTP server on S3 gets as many
ROOT = Path(__file__).parent.parent
KEY, SECRET = "bench", "bench-secret"
TICKS = os.sysconf("SC_CLK_TCK")


class Server:
    """A running command with the processes it started. Leaving the block stops them."""

    def __init__(self, command: list[str], log: Path, **options: Any) -> None:
        with log.open("ab") as out:
            options = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": out} | options
            self.process = subprocess.Popen(command, start_new_session=True, **options)
        self.log = log

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        others = [pid for pid in self._processes() if pid != self.process.pid]
        for sign, patience in ((signal.SIGTERM, 20), (signal.SIGKILL, 5)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(patience)  # SIGKILL follows in any case, for whoever outlived the leader
        for pid in others:  # workers in sessions of their own, should they have outlived it too
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def wait_for(self, url: str, times: int = 1, timeout: float = 180) -> None:
        """Until the URL answers 200. Raises SystemExit with the end of the log when it does not."""
        deadline = time.monotonic() + timeout
        while times:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{url} did not answer:\n{self.log.read_text()[-2000:]}")
            with contextlib.suppress(urllib.error.URLError, OSError), urllib.request.urlopen(url, timeout=30) as reply:
                times -= reply.status == 200
                continue
            time.sleep(0.05)

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
        found = {pid for pid, fields in every.items() if int(fields[3]) == self.process.pid}
        while more := {pid for pid, fields in every.items() if int(fields[1]) in found} - found:
            found |= more
        return {pid: every[pid] for pid in found}


def free_ports(count: int) -> list[int]:
    """Free ports whose neighbours 10000 higher are free too: some servers take both."""
    ports: list[int] = []
    with contextlib.ExitStack() as held:
        while len(ports) < count:
            port = random.randrange(20_000, 32_000)
            try:
                for number in (port, port + 10_000):
                    held.enter_context(socket.socket()).bind((HOST, number))
            except OSError:
                continue
            ports.append(port)
    return ports


def seaweedfs(home: Path) -> tuple[Server, str]:
    """An S3 server with its data on disk, and its endpoint. Besides its one user it lets anybody in: it is ours."""
    home.mkdir()
    (home / "data").mkdir()
    rights = ["Admin", "Read", "Write", "List"]
    user = {"name": "bench", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": rights}
    config = home / "s3.json"
    config.write_text(json.dumps({"identities": [user, {"name": "anonymous", "actions": rights}]}))
    names = ["master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc"]
    names += ["s3.port", "s3.port.grpc", "admin.port"]
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    command = [str(Path(sys.prefix) / "bin" / "weed"), f"-logdir={home}", "mini", f"-dir={home / 'data'}"]
    command += [f"-ip={HOST}", f"-ip.bind={HOST}", f"-s3.config={config}", "-master.telemetry=false"]
    command += ["-s3.port.iceberg=0", "-s3.port.lance=0", "-webdav=false", "-admin.ui=false"]
    server = Server(command + [f"-{name}={port}" for name, port in ports.items()], home / "log.txt")
    endpoint = f"http://{HOST}:{ports['s3.port']}"
    server.wait_for(f"{endpoint}/status")
    return server, endpoint


def credentials(endpoint: str) -> None:
    """Let the SDK of this process and of those it starts talk to our S3 server, and to nobody else."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ |= {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "us-east-1"}
    os.environ |= {"AWS_ENDPOINT_URL": endpoint, "AWS_EC2_METADATA_DISABLED": "true"}


def port_of(endpoint: str) -> int:
    return int(endpoint.rpartition(":")[2])


def gateway(log: Path, arguments: list[str]) -> tuple[Server, int]:
    """Our handlers behind a plain HTTP server, and its port."""
    port = free_ports(1)[0]
    server = Server([sys.executable, "-m", "bench.gateway", str(port), *arguments], log, cwd=ROOT)
    server.wait_for(f"http://{HOST}:{port}/models?limit=1")
    return server, port


def mlflow_environment() -> dict[str, str]:
    """MLflow's telemetry off, by both variables that it documents; and no job runner, which no registry needs."""
    off = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | off


def mlflow(environment: Path, database: Path, log: Path) -> tuple[Server, int]:
    """`mlflow server` as it comes (four workers) on an SQLite file, and its port."""
    port, home = free_ports(1)[0], database.parent
    command = [str(environment / "bin" / "mlflow"), "server", "--backend-store-uri", f"sqlite:///{database}"]
    command += ["--default-artifact-root", str(home / "artifacts"), "--host", HOST, "--port", str(port)]
    command += ["--workers", str(WORKERS)]
    server = Server(command, log, cwd=home, env=mlflow_environment())
    deadline = time.monotonic() + 240
    # its workers import for long, one after the other on a small machine: all of them must be there
    while log.read_text().count("Application startup complete") < WORKERS:
        if server.process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"mlflow server did not start:\n{log.read_text()[-2000:]}")
        time.sleep(0.1)
    server.wait_for(f"http://{HOST}:{port}/health")
    return server, port
