"""The supervisor of the checks: it takes a package, returns a verdict, and parses no byte of the model in this process.

The checks run in a worker (`shared.ingest.worker`), a process with hard limits that is started, waited for, and killed
in any case, here.
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
from shared import metrics
from shared.config import MiB
from shared.errors import Unavailable
from shared.ingest.verdict import FILTER_MISSING, Limits, Reading, Refused, Verdict
from shared.package.manifest import Manifest
from shared.runtime import sandbox

INHERITED = (
    "LD_LIBRARY_PATH",
    "LANG",
    "LC_ALL",
    "PYTHONDONTWRITEBYTECODE",
)  # variables for the interpreter; no secrets
# executed as processes of their own; named here for the build, too
WORKER, READER = "shared.ingest.worker", "shared.ingest.reader"
MAX_REPORT = 16 * MiB  # bytes of the worker's answer beside the two forms of the model
ANSWER_PARTS = 3  # the verdict, the model, its wide form
# what a crash in native code ends with; SIGXCPU and SIGKILL are limits that the worker ran into
CRASH_SIGNALS = (signal.SIGFPE, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGTRAP)


class SystemCallFilterMissing(Unavailable):
    """The kernel takes no filter of system calls, and the deployment gives no verdict without one."""


def check_model(files: Mapping[str, Path], manifest: dict[str, Any] | None, limits: Limits | None = None) -> Verdict:
    """Check and optimize a package's model in a worker process; a verdict, or SystemCallFilterMissing.

    files: flat names of the package, model.onnx among them, to local copies that do not change meanwhile.
    manifest: the decoded amaas.json, or None. Takes at most limits.wall seconds, and the time to kill.
    """
    limits, started = limits or Limits(), time.monotonic()
    size = sum(path.stat().st_size for path in files.values())
    verdict = _reject_by_size(files, size, limits) or _run_worker(
        files, {"golden": (manifest or {}).get("golden")}, limits, "to load and run the model once"
    )
    model = files.get("model.onnx")
    return msgspec.structs.replace(
        verdict,
        size=model.stat().st_size if model else 0,
        seconds=round(time.monotonic() - started, 3),
    )


def smoke_test(
    files: Mapping[str, Path], manifest: dict[str, Any], ran: Mapping[str, list[int]], limits: Limits | None = None
) -> Verdict:
    """Run the smoke test of a package whose model passed, in a worker of its own; as check_model.

    files: the model as it will be served, and what `preprocess` names. manifest: as it will be served. ran: `ran` of
    the model's verdict. The verdict's `probe` is "ran" if the task answered, "inconclusive" if that could not be
    decided.
    """
    purpose = f"to answer one generated input as {manifest.get('task')}, with the files that preprocess names"
    return _run_worker(files, {"served": {"manifest": manifest, "ran": ran}}, limits or Limits(), purpose)


def _reject_by_size(files: Mapping[str, Path], size: int, limits: Limits) -> Verdict | None:
    """A verdict that needs no worker; None if the package has to be checked."""
    if "model.onnx" not in files:
        return _rejected("not_onnx", f"the package has no model.onnx, only {sorted(files)}; add the model")
    allowed = limits.model_bytes + limits.golden_bytes
    if size > allowed:
        return _rejected(
            "too_large", f"the package has {size:,} bytes, more than the {allowed:,} allowed; quantize the model"
        )
    return None


def read_manifest(path: Path, limits: Limits | None = None) -> Manifest:
    """Decode an amaas.json in a process of its own. Raises Refused, SystemCallFilterMissing."""
    limits = limits or Limits()
    settings = {"sandbox": limits.sandbox, "require_filter": limits.require_filter}
    answer, status = _run(READER, {"amaas.json": path}, settings, time.monotonic() + limits.wall, MAX_REPORT)
    try:
        reading = msgspec.json.decode(answer, type=Reading)
    except msgspec.MsgspecError:
        ended = "in time" if status is None else f"with status {status}"
        why = f"amaas.json cannot be read: the process that tried did not end {ended}; make it smaller and simpler"
        raise Refused("bad_manifest", why) from None
    _report_filter(reading.seccomp, limits, nothing_read=reading.manifest is None and reading.refusal is None)
    if reading.manifest is None:
        raise Refused("bad_manifest", reading.refusal or "amaas.json cannot be read; write it again")
    return reading.manifest


def _run_worker(files: Mapping[str, Path], task: dict[str, Any], limits: Limits, purpose: str) -> Verdict:
    """task: members of the worker's job beside files and limits. purpose: as in "to run the model", for messages."""
    deadline, most = time.monotonic() + limits.wall, MAX_REPORT + limits.model_bytes * 3
    answer, status = _run(WORKER, files, {"limits": limits, **task}, deadline, most)
    return _to_verdict(answer, status, limits, purpose)


def _run(
    module: str, files: Mapping[str, Path], settings: dict[str, Any], deadline: float, most: int
) -> tuple[bytes, int | None]:
    """The answer of a process that runs a module of this room, and its exit status, as _to_verdict takes it.

    The job has the settings, `files` as open descriptors, and `answer`, where to write. most: bytes of the answer.
    """
    with ExitStack() as stack:
        stack.enter_context(sandbox.unreadable())
        descriptors = {name: stack.enter_context(path.open("rb")).fileno() for name, path in files.items()}
        reader, writer = os.pipe()
        stack.callback(os.close, reader)
        job = {"files": descriptors, "answer": writer, **settings}
        try:
            process = _start(module, job, [*descriptors.values(), writer], stack)
        finally:
            os.close(writer)  # or the pipe would never end: this process would hold its other end, too
        try:
            answer, complete = _read(reader, deadline, most)
            return answer, _wait(process, deadline) if complete else None
        finally:
            _kill(process)


def _start(module: str, job: dict[str, Any], descriptors: list[int], stack: ExitStack) -> subprocess.Popen[bytes]:
    """Start the worker in an empty folder and a process group of its own, without this process's environment.

    The job comes in a file, not through a pipe: a worker that dies early would block whoever fills the pipe.
    """
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="amaas-gate-", ignore_cleanup_errors=True))
    standard_input = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - closed by the stack
    standard_input.write(msgspec.json.encode(job))
    standard_input.seek(0)
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module],
        stdin=standard_input,
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
    environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
    return environment | threads | {"PYTHONPATH": os.pathsep.join(paths)}


def _read(reader: int, deadline: float, limit: int) -> tuple[bytes, bool]:
    """The worker's answer, of at most limit bytes, and whether it is complete; False if the deadline passed first."""
    chunks: list[bytes] = []
    total = 0
    poller = select.poll()
    poller.register(reader, select.POLLIN)
    while True:
        remaining = deadline - time.monotonic()
        if remaining <= 0 or not poller.poll(remaining * 1000):
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
    """Kill the whole process group, also after a normal end: nothing that the worker may have started outlives it."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    process.wait()


def _to_verdict(answer: bytes, status: int | None, limits: Limits, purpose: str) -> Verdict:
    """status: the worker's exit status, -N for signal N; None if it did not end in time."""
    parsed = _parse_answer(answer)
    if parsed is not None:
        confined, nothing_read = parsed[0].runtime.get("seccomp"), parsed[0].code == FILTER_MISSING
        _report_filter(confined, limits, nothing_read=nothing_read)
    if parsed is not None and (verdict := _after_extremes(*parsed, status)) is not None:
        return verdict
    if status is None:
        return _rejected(
            "wall_limit", f"the check was stopped after {limits.wall:g} s; make the model smaller or simpler"
        )
    if status != 0:
        return _reject_by_status(status, limits, purpose)
    return _rejected("crashed", "the check ended without a verdict; export the model again")


def _report_filter(confined: bool | None, limits: Limits, *, nothing_read: bool) -> None:
    """Count a process without a filter, for the alarm. Raises SystemCallFilterMissing where nothing was read."""
    if limits.sandbox and confined is False:
        metrics.emit("SystemCallFilterMissing", 1, service="sandbox")
    if nothing_read:
        raise SystemCallFilterMissing(
            "the kernel takes no filter of system calls, so nothing of the package was read; run the function where "
            "there is one, or deploy with RequireSystemCallFilter=false, which relies on the other walls alone"
        )


def _parse_answer(answer: bytes) -> tuple[Verdict, list[str]] | None:
    """The verdict, and descriptions of the extreme calls begun after it; None if the worker did not get that far."""
    parts, start = [], 0
    for _ in range(ANSWER_PARTS):
        end = start + 8 + int.from_bytes(answer[start : start + 8], "little")
        if len(answer) < max(end, start + 8):
            return None
        parts.append(answer[start + 8 : end])
        start = end
    body, optimized, wide = parts
    if len(body) + len(answer) - start > MAX_REPORT:  # all but the models is decoded
        return None
    try:
        verdict = msgspec.json.decode(body, type=Verdict)
    except msgspec.MsgspecError:
        return None
    calls = answer[start:].decode(errors="replace").splitlines()
    return msgspec.structs.replace(verdict, optimized=optimized or None, wide=wide or None), calls


def _after_extremes(verdict: Verdict, calls: list[str], status: int | None) -> Verdict | None:
    """The verdict in the light of how the worker ended; None if it ended badly and no extreme call explains that.

    A call that was too slow or too large does not end the service, so only a crash turns the verdict into a rejection.
    """
    if status == 0 or (calls and (status is None or -status not in CRASH_SIGNALS)):
        return verdict
    if not calls or status is None:
        return None
    return _rejected(
        "dies_on_values",
        f"a call with {calls[-1]} ends the process that runs the model ({signal.Signals(-status).name}), and with it "
        "everyone's calls; keep such values from the operator that cannot take them (Clip, Where, Max), or export the "
        "model without it",
    )


def _reject_by_status(status: int, limits: Limits, purpose: str) -> Verdict:
    if status == -signal.SIGXCPU:
        return _rejected("cpu_limit", f"it took more than {limits.cpu} s of CPU {purpose}; make the model smaller")
    if status == -signal.SIGKILL:
        return _rejected("memory_limit", "the check ran out of memory and was killed; make the model smaller")
    if status < 0:
        name = signal.Signals(-status).name
        return _rejected("crashed", f"the process that was started {purpose} crashed ({name}); make the package anew")
    return _rejected(
        "crashed", f"the process that was started {purpose} ended with status {status}; make the package anew"
    )


def _rejected(code: str, reason: str) -> Verdict:
    return Verdict(accepted=False, code=code, reason=reason)
