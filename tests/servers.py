"""Real S3 servers for the tests: started when a test first asks for one, stopped with the session."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.storage.s3 import S3Store

ROOT = Path(__file__).resolve().parents[1]
START = 60  # seconds
SERVERS = ("moto", "ministack", "seaweedfs")


def free_ports(count: int) -> list[int]:
    """Ports that were free together a moment ago, each with its neighbour 10,000 above (SeaweedFS takes that, too)."""
    found: list[int] = []
    while len(found) < count:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port < 55000 and port not in found:
            found.append(port)
    return found


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


@contextmanager
def seaweedfs(home: Path) -> Iterator[str]:
    """A SeaweedFS server with its S3 gateway. It reports to its makers by default: that is off here."""
    names = "master.port master.port.grpc volume.port volume.port.grpc filer.port filer.port.grpc s3.port s3.port.grpc"
    ports = dict(zip([*names.split(), "admin.port"], free_ports(9), strict=True))
    identity = {"name": "test", "credentials": [{"accessKey": "test", "secretKey": "test"}]}
    config = {"identities": [identity | {"actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}
    (home / "s3.json").write_text(json.dumps(config))
    weed = shutil.which("weed", path=str(Path(sys.executable).parent)) or "weed"
    command = [weed, f"-logdir={home}", "mini", f"-dir={home / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    command += [f"-{name}={port}" for name, port in ports.items()]
    command += [f"-s3.config={home / 's3.json'}", "-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
    command += ["-webdav=false", "-admin.ui=false"]
    (home / "data").mkdir()
    env = {"PATH": os.defpath, "HOME": str(home), "TMPDIR": str(home)}
    endpoint = f"http://127.0.0.1:{ports['s3.port']}"
    with running(command, home, env, f"{endpoint}/status"):
        yield endpoint


@contextmanager
def running(command: list[str], home: Path, env: dict[str, str], ready: str) -> Iterator[None]:
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=home, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + START
        while not _answers(ready):
            said = (home / "log").read_text(errors="replace")[-2000:]
            assert process.poll() is None, f"{command[0]} ended:\n{said}"
            assert time.monotonic() < deadline, f"{command[0]} did not start:\n{said}"
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


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
    store._client.create_bucket(Bucket=store.bucket)
    if versions:
        store._client.put_bucket_versioning(Bucket=store.bucket, VersioningConfiguration={"Status": "Enabled"})
    return store
