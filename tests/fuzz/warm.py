"""The gate's worker, forked from this process instead of executed anew: the same checks in the same sandbox.

Its imports, a third of a second, are what a check of a small model mostly takes; done once, a search sees ten times as
many models in an hour. This process runs no model and has one thread, as the zygote of runners (shared/runtime).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import msgspec

from shared.ingest import checks, supervisor, worker

PAUSE = 0.001  # seconds between looks at whether a worker has ended


class Forked:
    """Stands for the Popen of a worker."""

    def __init__(self, job: dict[str, Any], folder: str) -> None:
        with tempfile.TemporaryFile() as given:
            given.write(msgspec.json.encode(job))
            given.seek(0)
            sys.stdout.flush()
            self.pid = os.fork()
            if self.pid == 0:
                _work(given.fileno(), folder)
        os.setpgid(self.pid, self.pid)
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        until = None if timeout is None else time.monotonic() + timeout
        while self.returncode is None:
            ended, status = os.waitpid(self.pid, 0 if until is None else os.WNOHANG)
            if ended:
                self.returncode = os.waitstatus_to_exitcode(status)
            elif until is not None and time.monotonic() > until:
                raise subprocess.TimeoutExpired("worker", timeout or 0)
            else:
                time.sleep(PAUSE)
        return self.returncode


def _work(given: int, folder: str) -> None:
    """In the child: what the interpreter and the shell would have done, then the worker. Does not return."""
    status = 1
    try:
        os.setpgid(0, 0)
        os.environ.clear()
        os.chdir(folder)
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(given, 0)
        os.dup2(null, 1)
        os.dup2(null, 2)
        sys.stdin = open(0)  # noqa: SIM115 - of the worker, to its end
        worker.main()
        status = 0
    finally:
        os._exit(status)


def _start(module: str, job: dict[str, Any], descriptors: list[int], stack: ExitStack) -> Any:
    if module != supervisor.WORKER:
        return EXECUTED(module, job, descriptors, stack)
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="amaas-gate-", ignore_cleanup_errors=True))
    return Forked(job, folder)


EXECUTED = supervisor._start


@contextmanager
def forked() -> Iterator[None]:
    """Checks by forked workers. Everything that they import is imported before."""
    checks.versions()
    supervisor._start = _start  # type: ignore[assignment]
    try:
        yield
    finally:
        supervisor._start = EXECUTED
