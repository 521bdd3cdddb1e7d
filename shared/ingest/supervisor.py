"""The gate's door: a package goes in, a verdict comes out, and no byte of the model is parsed in this process.

The work is done in `child`, a process with hard limits that this one starts, waits for, and kills in any case.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

import shared
from shared.config import MiB
from shared.ingest import sandbox
from shared.ingest.verdict import Limits, Verdict

KEPT = ("LD_LIBRARY_PATH", "LANG", "LC_ALL", "PYTHONDONTWRITEBYTECODE")  # for the interpreter; no secrets
MAX_ANSWER = 16 * MiB
PARTS = 3  # of the child's answer: the verdict, the model, its second form
DEADLY = (signal.SIGFPE, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGTRAP)


def examine(files: Mapping[str, Path], manifest: dict[str, Any] | None, limits: Limits | None = None) -> Verdict:
    """Check, optimise and try a package in a process of its own; always returns a verdict.

    files: flat names of the package, model.onnx among them, to local copies that nobody changes meanwhile.
    manifest: the decoded amaas.json, or None. Takes at most limits.wall seconds, and the time to kill.
    """
    limits, started = limits or Limits(), time.monotonic()
    size = sum(path.stat().st_size for path in files.values())
    verdict = _at_the_door(files, size, limits) or _in_child(
        files, {"golden": (manifest or {}).get("golden")}, limits, "to load and run the model once"
    )
    model = files.get("model.onnx")
    return msgspec.structs.replace(
        verdict,
        size=model.stat().st_size if model else 0,
        seconds=round(time.monotonic() - started, 3),
    )


def rehearse(
    files: Mapping[str, Path], manifest: dict[str, Any], ran: Mapping[str, list[int]], limits: Limits | None = None
) -> Verdict:
    """The smoke test of a package whose model has passed, in another such process; always returns a verdict.

    files: the model as it will be served, and what `preprocess` names. manifest: as it will be served. ran: the
    verdict's own, of the model. The verdict's `probe` says whether the task answered, or nothing is known.
    """
    what = f"to answer one made-up input as {manifest.get('task')}, with the files that preprocess names"
    return _in_child(files, {"served": {"manifest": manifest, "ran": ran}}, limits or Limits(), what)


def _at_the_door(files: Mapping[str, Path], size: int, limits: Limits) -> Verdict | None:
    if "model.onnx" not in files:
        return _rejected("not_onnx", f"the package has no model.onnx, only {sorted(files)}; add the model")
    allowed = limits.model_bytes + limits.golden_bytes
    if size > allowed:
        return _rejected(
            "too_large",
            f"the package has {size:,} bytes, more than the {allowed:,} that are checked; quantise the model",
        )
    return None


def _in_child(files: Mapping[str, Path], task: dict[str, Any], limits: Limits, what: str) -> Verdict:
    deadline = time.monotonic() + limits.wall
    with ExitStack() as stack:
        stack.enter_context(sandbox.unreadable())
        opened = {name: stack.enter_context(path.open("rb")).fileno() for name, path in files.items()}
        reader, writer = os.pipe()
        stack.callback(os.close, reader)
        job = {"files": opened, "limits": limits, "answer": writer, **task}
        try:
            process = _start(job, [*opened.values(), writer], stack)
        finally:
            os.close(writer)
        try:
            answer, ended = _read(reader, deadline, MAX_ANSWER + limits.model_bytes * 3)
            status = _wait(process, deadline) if ended else None
        finally:
            _kill(process)
    return _verdict(answer, status, limits, what)


def _start(job: dict[str, Any], descriptors: list[int], stack: ExitStack) -> subprocess.Popen[bytes]:
    """The child in an empty folder and a process group of its own, with nothing of this environment but paths."""
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="amaas-gate-", ignore_cleanup_errors=True))
    task = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - a pipe would fill, with nobody there to read
    task.write(msgspec.json.encode(job))
    task.seek(0)
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "shared.ingest.worker"],
        stdin=task,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        env=_environment(),
        pass_fds=descriptors,
        start_new_session=True,
    )


def _environment() -> dict[str, str]:
    home = str(Path(shared.__path__[0]).resolve().parent)
    paths = dict.fromkeys([home, *(os.path.abspath(entry) for entry in sys.path if entry)])
    environment = {name: os.environ[name] for name in KEPT if name in os.environ}
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
    return environment | threads | {"PYTHONPATH": os.pathsep.join(paths)}


def _read(reader: int, deadline: float, limit: int) -> tuple[bytes, bool]:
    """What the child writes, and whether it came to an end in time. No more than limit bytes."""
    chunks: list[bytes] = []
    total = 0
    waiting = select.poll()
    waiting.register(reader, select.POLLIN)
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not waiting.poll(left * 1000):
            return b"".join(chunks), False
        chunk = os.read(reader, MiB)
        total += len(chunk)
        if not chunk or total > limit:
            return b"".join(chunks), True
        chunks.append(chunk)


def _wait(process: subprocess.Popen[bytes], deadline: float) -> int | None:
    try:
        return process.wait(max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return None


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The whole group, also after a normal end: nothing the child may have started outlives it."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    process.wait()


def _verdict(answer: bytes, status: int | None, limits: Limits, what: str) -> Verdict:
    said = _said(answer)
    if said is not None and (verdict := _despite(*said, status)) is not None:
        return verdict
    if status is None:
        return _rejected(
            "wall_limit", f"the check was stopped after {limits.wall:g} s; make the model smaller or simpler"
        )
    if status != 0:
        return _died(status, limits, what)
    return _rejected("crashed", "the check ended without a verdict; export the model again")


def _said(answer: bytes) -> tuple[Verdict, list[str]] | None:
    """The verdict, and which calls were begun after it; None where it did not get that far."""
    parts, start = [], 0
    for _ in range(PARTS):
        end = start + 8 + int.from_bytes(answer[start : start + 8], "little")
        if len(answer) < max(end, start + 8):
            return None
        parts.append(answer[start + 8 : end])
        start = end
    body, optimized, wide = parts
    try:
        verdict = msgspec.json.decode(body, type=Verdict)
    except msgspec.MsgspecError:
        return None
    calls = answer[start:].decode(errors="replace").splitlines()
    return msgspec.structs.replace(verdict, optimized=optimized or None, wide=wide or None), calls


def _despite(verdict: Verdict, calls: list[str], status: int | None) -> Verdict | None:
    """The verdict, whatever came after it; None where there was nothing that the process may have died of.

    A call that was too slow or too large is not one that ends the service.
    """
    if status == 0 or (calls and (status is None or -status not in DEADLY)):
        return verdict
    if not calls or status is None:
        return None
    return _rejected(
        "dies_on_values",
        f"a call with {calls[-1]} ends the process that runs the model ({signal.Signals(-status).name}), and with it "
        "everyone's calls; keep such values from the operator that cannot take them (Clip, Where, Max), or export the "
        "model without it",
    )


def _died(status: int, limits: Limits, what: str) -> Verdict:
    """what: the process was there for, as in "to run the model"."""
    if status == -signal.SIGXCPU:
        return _rejected("cpu_limit", f"it took more than {limits.cpu} s of CPU {what}; make the model smaller")
    if status == -signal.SIGKILL:
        return _rejected("memory_limit", "the check ran out of memory and was killed; make the model smaller")
    if status < 0:
        name = signal.Signals(-status).name
        return _rejected("crashed", f"a process that was {what} crashed ({name}); make the package anew")
    return _rejected("crashed", f"a process that was {what} ended with status {status}; make the package anew")


def _rejected(code: str, reason: str) -> Verdict:
    return Verdict(accepted=False, code=code, reason=reason)
