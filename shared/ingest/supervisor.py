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
from shared.config import MiB
from shared.errors import Unavailable
from shared.ingest.outcome import MAX_REPORT, rejected, report_filter, to_verdict
from shared.ingest.verdict import Limits, Reading, Refused, Unpacked, Verdict
from shared.package.manifest import Manifest
from shared.runtime import sandbox

INHERITED = (
    "LD_LIBRARY_PATH",
    "LANG",
    "LC_ALL",
    "PYTHONDONTWRITEBYTECODE",
)  # variables for the interpreter; no secrets
# executed as processes of their own; named here for the build, too
WORKER, READER, UNPACKER = "shared.ingest.worker", "shared.ingest.reader", "shared.ingest.unpacker"


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


def check_decoder(
    files: Mapping[str, Path], manifest: dict[str, Any], spill: Path, limits: Limits | None = None
) -> Verdict:
    """Check a package that generates text; as check_model, in one worker for all of it.

    spill: a file that does not exist: it gets the weights, where they are inside of model.onnx, and is empty otherwise.
    """
    started, size = time.monotonic(), sum(path.stat().st_size for path in files.values())
    limits = _sized(limits or Limits(), size)
    spill.touch(exist_ok=False)
    task = {"generated": {"manifest": manifest}}
    purpose = "to load the model, and to generate a few tokens"
    verdict = _run_worker(files, task, limits, purpose, spill) if "model.onnx" in files else _no_model(files)
    seconds = round(time.monotonic() - started, 3)
    return msgspec.structs.replace(verdict, size=size, seconds=seconds)


def _sized(limits: Limits, size: int) -> Limits:
    """For a model of so many bytes, each of which is read for each token, and which kernels have once more."""
    gigabytes = size / 1e9
    return msgspec.structs.replace(
        limits,
        memory=limits.memory + int(2.5 * size),
        cpu=limits.cpu + 10 + int(100 * gigabytes),
        wall=limits.wall + 30 + 200 * gigabytes,
        elements=max(limits.elements, size * 4),
        spill_bytes=size + size // 8 + 2**20,
    )


def _no_model(files: Mapping[str, Path]) -> Verdict:
    return rejected("not_onnx", f"the package has no model.onnx, only {sorted(files)}; add the model")


def _reject_by_size(files: Mapping[str, Path], size: int, limits: Limits) -> Verdict | None:
    """A verdict that needs no worker; None if the package has to be checked."""
    if "model.onnx" not in files:
        return _no_model(files)
    allowed = limits.model_bytes + limits.golden_bytes
    if size > allowed:
        return rejected(
            "too_large", f"the package has {size:,} bytes, more than the {allowed:,} allowed; quantize the model"
        )
    return None


def _died(status: int | None) -> str:
    """What became of a process that gave no answer. status: None where its time was over."""
    ended = "in time" if status is None else f"with status {status}"
    return f"the process that tried did not end {ended}"


def read_manifest(path: Path, limits: Limits | None = None) -> Manifest:
    """Decode an amaas.json in a process of its own. Raises Refused, SystemCallFilterMissing."""
    limits = limits or Limits()
    settings = {"sandbox": limits.sandbox, "require_filter": limits.require_filter}
    answer, status = _run(READER, {"amaas.json": path}, settings, time.monotonic() + limits.wall, MAX_REPORT)
    try:
        reading = msgspec.json.decode(answer, type=Reading)
    except msgspec.MsgspecError:
        why = f"amaas.json cannot be read: {_died(status)}; make it smaller and simpler"
        raise Refused("bad_manifest", why) from None
    report_filter(reading.seccomp, limits, nothing_read=reading.manifest is None and reading.refusal is None)
    if reading.manifest is None:
        raise Refused("bad_manifest", reading.refusal or "amaas.json cannot be read; write it again")
    return reading.manifest


def unpack(path: Path, spill: Path, most: int, limits: Limits | None = None) -> Unpacked:
    """Unpack an archive in a process of its own. Raises Refused, SystemCallFilterMissing, Unavailable.

    spill: a file that does not exist: it gets the contents of all files, one after the other, at most `most` bytes.
    """
    limits = limits or Limits()
    spill.touch(exist_ok=False)
    cpu = limits.cpu + most // (64 * MiB)
    settings = {"sandbox": limits.sandbox, "require_filter": limits.require_filter, "most": most, "cpu": cpu}
    deadline = time.monotonic() + limits.wall + most / (32 * MiB)
    answer, status = _run(UNPACKER, {path.name: path}, settings, deadline, MAX_REPORT, spill)
    try:
        unpacked = msgspec.json.decode(answer, type=Unpacked)
    except msgspec.MsgspecError:
        why = f"{path.name} cannot be unpacked: {_died(status)}; pack the package anew"
        raise Refused("bad_archive", why) from None
    report_filter(unpacked.seccomp, limits, nothing_read=unpacked == Unpacked(unpacked.seccomp))
    if unpacked.interrupted:
        raise Unavailable(f"{path.name} could not be unpacked ({unpacked.interrupted}): wait for room")
    if unpacked.files is None:
        raise Refused(unpacked.code or "bad_archive", unpacked.reason or f"{path.name}: pack the package anew")
    return unpacked


def _run_worker(
    files: Mapping[str, Path], task: dict[str, Any], limits: Limits, purpose: str, spill: Path | None = None
) -> Verdict:
    """task: members of the worker's job beside files and limits. purpose: as in "to run the model", for messages."""
    deadline, most = time.monotonic() + limits.wall, MAX_REPORT + limits.model_bytes * 3
    answer, status = _run(WORKER, files, {"limits": limits, **task}, deadline, most, spill)
    return to_verdict(answer, status, limits, purpose)


def _run(
    module: str,
    files: Mapping[str, Path],
    settings: dict[str, Any],
    deadline: float,
    most: int,
    spill: Path | None = None,
) -> tuple[bytes, int | None]:
    """The answer of a process that runs a module of this room, and its exit status, as outcome.to_verdict takes it.

    The job has the settings, `files` as open descriptors, and `answer`, where to write. most: bytes of the answer.
    spill: a file that the process may write, as the job's `spill`.
    """
    with ExitStack() as stack:
        stack.enter_context(sandbox.unreadable())
        descriptors = {name: stack.enter_context(path.open("rb")).fileno() for name, path in files.items()}
        reader, writer = os.pipe()
        stack.callback(os.close, reader)
        job = {"files": descriptors, "answer": writer, **settings}
        if spill is not None:
            job["spill"] = stack.enter_context(spill.open("r+b")).fileno()
        try:
            inherited = [*descriptors.values(), writer, *([job["spill"]] if spill else [])]
            process = _start(module, job, inherited, stack)
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
