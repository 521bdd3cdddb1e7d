"""The process that touches untrusted models: started by `validate`, confined before it reads their first byte.

It judges a model (`gate`), or whether a package answers in the terms of its task (`smoke`).

Job on standard input, answer on the file descriptor named in the job: the verdict as JSON, the model to serve if it is
not the uploaded one, and its form for some processors if there is one, 8 bytes of length before each; then a line
before each call of `extremes`.
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

from shared.ingest import sandbox
from shared.ingest.verdict import Limits, Refused, Verdict
from shared.package.manifest import Manifest
from shared.runtime.onnx import OutOfMemory

LC_ALL_MASK = 0x1FBF
Later = Callable[[Callable[[str], None]], None]  # as in gate.py, which is imported only where it is needed


class Served(msgspec.Struct):
    """For the smoke test: the manifest that will be served, and shapes of inputs that the model is known to run on."""

    manifest: dict[str, Any]
    ran: dict[str, list[int]]


class Job(msgspec.Struct):
    """files: name in the package → open file descriptor. golden: the member of amaas.json, if there."""

    files: dict[str, int]
    limits: Limits
    answer: int
    golden: dict[str, Any] | None = None
    served: Served | None = None


def main() -> None:
    sandbox.die_with_parent()
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    later: list[Later] = []
    judge, versions = _prepared(job, later)
    confined = _confine(job.limits)
    for part in _answer(_judged(judge, job.limits), versions | {"seccomp": confined}):
        _write(job.answer, len(part).to_bytes(8, "little"))
        _write(job.answer, part)
    for call in later:
        with contextlib.suppress(Exception):  # the verdict stands: only the end of the process says otherwise
            call(lambda what: _write(job.answer, what.replace("\n", " ").encode(errors="replace") + b"\n"))
    os._exit(0)  # no destructors: a model may have left them in any state


def _prepared(job: Job, later: list[Later]) -> tuple[Callable[[], Verdict], dict[str, Any]]:
    """What is to be judged, with all that it needs imported; and the versions of what judges. later: see `gate`."""
    if job.served is None:
        from shared.ingest import checks

        return partial(checks.judge, job.files, job.golden, job.limits, later), checks.versions()
    from shared.ingest import smoke

    manifest = msgspec.convert(job.served.manifest, Manifest)
    smoke.prepare(manifest)
    return partial(smoke.judge, job.files, manifest, job.served.ran), {}


def _confine(limits: Limits) -> bool:
    """Give up the rest. What would need a file later is fetched before: the locale of StringNormalizer, zip's codec."""
    codecs.lookup("cp437")
    ctypes.CDLL(None).newlocale(LC_ALL_MASK, b"C.UTF-8", None)  # the C library keeps it loaded
    os.rmdir(os.getcwd())  # a relative path then leads nowhere
    sandbox.limit_resources(limits.memory, limits.cpu)
    return sandbox.filter_system_calls() if limits.sandbox else False


def _judged(judge: Callable[[], Verdict], limits: Limits) -> Verdict:
    try:
        return judge()
    except Refused as refused:
        return Verdict(accepted=False, code=refused.code, reason=str(refused))
    except (MemoryError, OutOfMemory):
        reason = f"the model needs more than {limits.memory >> 20} MiB to load and run; make it smaller"
        return Verdict(accepted=False, code="memory_limit", reason=reason)
    except Exception as error:  # whatever a hostile model brought about, it gets an answer
        reason = f"the check failed on this model with {type(error).__name__}: {str(error)[:300]}; export it again"
        return Verdict(accepted=False, code="check_failed", reason=reason)


def _answer(verdict: Verdict, runtime: dict[str, Any]) -> tuple[bytes, bytes, bytes]:
    body = msgspec.json.encode(msgspec.structs.replace(verdict, optimized=None, wide=None, runtime=runtime))
    return body, verdict.optimized or b"", verdict.wide or b""


def _write(target: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(target, rest) :]


if __name__ == "__main__":
    main()
