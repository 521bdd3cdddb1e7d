"""The worker: the process that reads untrusted models. The supervisor starts it; it confines itself before reading.

It runs the checks of a model (`shared.ingest.checks`), the smoke test of a package (`shared.ingest.smoke`), or all of
one that generates text (`shared.ingest.decoders`) or hears it (`shared.ingest.hearers`).

Job on standard input, answer on the file descriptor named in the job: the verdict as JSON, the model to serve if it is
not the uploaded one, and its wide form if there is one, 8 bytes of length before each; then a line before each call of
`extremes`.
"""

from __future__ import annotations

import codecs
import contextlib
import ctypes
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from shared.ingest.verdict import FILTER_MISSING, ExtremeCalls, Limits, Refused, Verdict
from shared.package.manifest import Manifest
from shared.package.tasks import SPEECH_TO_TEXT
from shared.runtime import memory, sandbox
from shared.runtime.onnx import OutOfMemory

LC_ALL_MASK = 0x1FBF


class Served(msgspec.Struct):
    """For the smoke test: the manifest that will be served, and shapes of inputs that the model ran on."""

    manifest: dict[str, Any]
    ran: dict[str, list[int]]


class Generated(msgspec.Struct):
    """For a package that generates text: its manifest as declared."""

    manifest: dict[str, Any]


class Job(msgspec.Struct):
    """files: name in the package → open file descriptor. golden: the member of amaas.json, if there.

    spill: another descriptor, to write weights to.
    """

    files: dict[str, int]
    limits: Limits
    answer: int
    golden: dict[str, Any] | None = None
    served: Served | None = None
    generated: Generated | None = None
    spill: int = -1


class Work(msgspec.Struct, frozen=True):
    """What a job asks for, with all its imports done: in the sandbox no file can be opened any more.

    versions: of the libraries that decide the verdict. extreme_calls: to run after the verdict is written; the check
    fills the list.
    """

    check: Callable[[], Verdict]
    versions: dict[str, Any] = {}
    extreme_calls: list[ExtremeCalls] = []


def main() -> None:
    sandbox.die_with_parent()
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    work = _prepare(job)
    confined = _confine(job.limits)
    exposed = job.limits.require_filter and job.limits.sandbox and not confined
    verdict = _unread() if exposed else _check(work, job.limits)
    for part in _answer_parts(verdict, work.versions | {"seccomp": confined}):
        _write(job.answer, len(part).to_bytes(8, "little"))
        _write(job.answer, part)
    for run_calls in work.extreme_calls:
        with contextlib.suppress(Exception):  # the verdict stands: only the end of this process may change it
            run_calls(lambda call: _write(job.answer, call.replace("\n", " ").encode(errors="replace") + b"\n"))
    os._exit(0)  # no destructors: a model may have left them in any state


def _prepare(job: Job) -> Work:
    # each of the three imports a lot that the others do not need
    if job.generated is not None:
        from shared.ingest import decoders, hearers

        declared = msgspec.convert(job.generated.manifest, Manifest)
        kind = hearers if declared.served_task == SPEECH_TO_TEXT else decoders
        kind.prepare()
        return Work(partial(kind.check, job.files, job.spill, declared, job.limits), decoders.versions())
    if job.served is None:
        from shared.ingest import checks

        calls: list[ExtremeCalls] = []
        package = checks.Package(job.files, job.golden, job.limits, memory.peak())
        return Work(partial(checks.check_model, package, calls), checks.versions(), calls)
    from shared.ingest import smoke

    manifest = msgspec.convert(job.served.manifest, Manifest)
    smoke.prepare(manifest)
    return Work(partial(smoke.judge, job.files, manifest, job.served.ran))


def _confine(limits: Limits) -> bool:
    """Enter the sandbox. Returns whether the system-call filter is on.

    What would open a file later is loaded before: the locale of StringNormalizer, the codec of zip archives.
    """
    codecs.lookup("cp437")
    ctypes.CDLL(None).newlocale(LC_ALL_MASK, b"C.UTF-8", None)  # the C library keeps it loaded
    os.rmdir(os.getcwd())  # a relative path then leads nowhere
    sandbox.limit_resources(limits.memory, limits.cpu, file_bytes=limits.spill_bytes)
    return sandbox.filter_system_calls() if limits.sandbox else False


def _unread() -> Verdict:
    """Not a verdict on the package, of which no byte was read: the supervisor raises it."""
    return Verdict(accepted=False, code=FILTER_MISSING, reason="the kernel takes no filter of system calls")


def _check(work: Work, limits: Limits) -> Verdict:
    """Run the check; whatever it raises becomes a verdict."""
    try:
        return work.check()
    except Refused as refusal:
        return Verdict(accepted=False, code=refusal.code, reason=str(refusal))
    except (MemoryError, OutOfMemory):
        reason = f"the model needs more than {limits.memory >> 20} MiB to load and run; make it smaller"
        return Verdict(accepted=False, code="memory_limit", reason=reason)
    except Exception as error:  # whatever a hostile model provokes, its uploader gets an answer
        reason = f"the check failed on this model with {type(error).__name__}: {str(error)[:300]}; export it again"
        return Verdict(accepted=False, code="check_failed", reason=reason)


def _answer_parts(verdict: Verdict, runtime: dict[str, Any]) -> tuple[bytes, bytes, bytes]:
    body = msgspec.json.encode(msgspec.structs.replace(verdict, optimized=None, wide=None, runtime=runtime))
    return body, verdict.optimized or b"", verdict.wide or b""


def _write(target: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(target, rest) :]


if __name__ == "__main__":
    main()
