"""One function under Amazon's runtime interface emulator and runtime client, without Docker; each start a new process.

The emulator is the binary that aws-sam-cli brings; the function sees its own folder, the layers' python/ folders, the
runtime's packages and the standard library, as on Lambda, and nothing of any environment here.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.servers import HOST, ROOT, TICKS, free_ports

INVOKE = "/2015-03-31/functions/function/invocations"
ENVIRONMENT = ROOT / ".local" / "envs" / "sam"
# what Lambda's managed runtime has beside the standard library
RUNTIME = ["awslambdaric", "runtime_client", "simplejson", "snapshot_restore_py", "boto3", "botocore", "s3transfer"]
RUNTIME += ["jmespath", "dateutil", "six", "urllib3"]


@dataclass(frozen=True, slots=True)
class Function:
    """What is deployed: code folder, handler, layers in their order, environment variables.

    wrapper: AWS_LAMBDA_EXEC_WRAPPER, which starts another client than Amazon's.
    """

    code: Path
    handler: str
    layers: list[Path] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    wrapper: Path | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """One cold start. wall: s from the start of the process to the answer; cpu: s of the function's process."""

    wall: float
    cpu: float
    again: float
    answer: Any
    rss: int


def runtime(folder: Path, environment: Path = ENVIRONMENT) -> Path:
    """A folder with links to the runtime's packages only, as /var/runtime has them."""
    folder.mkdir()
    site = next((environment / "lib").glob("python3.*/site-packages"))
    for path in site.iterdir():
        if path.name.split(".")[0] in RUNTIME:
            (folder / path.name).symlink_to(path)
    return folder


def emulator(environment: Path = ENVIRONMENT) -> Path:
    machine = "arm64" if platform.machine() == "aarch64" else "x86_64"
    return next((environment / "lib").glob(f"python3.*/site-packages/samcli/local/rapid/aws-lambda-rie-{machine}"))


def start(function: Function, event: dict[str, Any], runtime_dir: Path, log: Path) -> Start:
    """Start, ask once, ask once more, stop. Raises RuntimeError when the function answers with an error."""
    body = json.dumps(event).encode()
    started = time.perf_counter()
    with running(function, runtime_dir, log) as (port, process):
        try:
            connection = connected(port, process)
            answer = _ask(connection, body)
            wall = time.perf_counter() - started
            cpu, rss = used(process.pid)
            again = time.perf_counter()
            _ask(connection, body)
            return Start(wall, cpu, time.perf_counter() - again, answer, rss)
        except (RuntimeError, OSError) as error:
            raise RuntimeError(f"{error}; the log ends: {log.read_text(errors='replace')[-2000:]}") from error


@contextlib.contextmanager
def running(function: Function, runtime_dir: Path, log: Path) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """The emulator's port, and its process; the function starts with the first call, in the same session."""
    port, api = free_ports(2)
    command = [str(emulator()), "--log-level", "error", "--runtime-interface-emulator-address", f"{HOST}:{port}"]
    command += ["--runtime-api-address", f"{HOST}:{api}"]
    if function.wrapper:  # as the managed runtime's own bootstrap calls it
        command += [str(function.wrapper), sys.executable, "/var/runtime/bootstrap.py"]
    else:
        command += [sys.executable, "-S", "-m", "awslambdaric", function.handler]
    environment = _environment(function, runtime_dir)
    with log.open("ab") as out:
        process = subprocess.Popen(
            command, cwd=function.code, env=environment, stdout=out, stderr=out, start_new_session=True
        )
    try:
        yield port, process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # a session of its own: the function's processes, and nothing else
        process.wait()


def _environment(function: Function, runtime_dir: Path) -> dict[str, str]:
    path = [str(function.code), *(str(layer / "python") for layer in function.layers), str(runtime_dir)]
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "HOME": "/tmp",
        "PYTHONDONTWRITEBYTECODE": "1",  # /var/task and /opt cannot be written to
        "PYTHONPATH": ":".join(path),
        "LAMBDA_TASK_ROOT": str(function.code),
        "LAMBDA_RUNTIME_DIR": str(runtime_dir),
        "_HANDLER": function.handler,
        "AWS_LAMBDA_FUNCTION_NAME": "local",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
        "AWS_LAMBDA_FUNCTION_TIMEOUT": "30",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_FORMAT": "JSON",  # as template.yaml has it
        "AWS_LAMBDA_LOG_LEVEL": "INFO",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        **function.env,
    }


def connected(port: int, process: subprocess.Popen[bytes]) -> http.client.HTTPConnection:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        connection = http.client.HTTPConnection(HOST, port, timeout=60)
        with contextlib.suppress(OSError):
            connection.connect()
            return connection
        time.sleep(0.001)
    raise RuntimeError("the emulator did not start")


def _ask(connection: http.client.HTTPConnection, body: bytes) -> Any:
    connection.request("POST", INVOKE, body, {"Content-Type": "application/json"})
    answer = json.loads(connection.getresponse().read())
    # an authorizer answers with a policy, which has no status
    if not isinstance(answer, dict) or "errorMessage" in answer or answer.get("statusCode", 200) != 200:
        raise RuntimeError(f"the function answered {str(answer)[:600]}")
    return answer


def used(session: int) -> tuple[float, int]:
    """CPU seconds and resident bytes of the function: the emulator's child, and what is private of its own children."""
    cpu, resident = 0.0, 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and int(path.parent.name) != session:
                cpu += (int(fields[11]) + int(fields[12])) / TICKS
                is_function = int(fields[1]) == session
                resident += int(fields[21]) * os.sysconf("SC_PAGE_SIZE") if is_function else private(path.parent)
    if not resident:
        raise RuntimeError("the function's process has ended")
    return cpu, resident


def private(process: Path) -> int:
    """Bytes of a process, in /proc, that it shares with no other."""
    lines = (process / "smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))
