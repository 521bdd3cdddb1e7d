"""What a worker's answer and its end come to: a verdict, whatever the model did to the process."""

from __future__ import annotations

import signal

import msgspec

from shared import metrics
from shared.config import MiB
from shared.errors import Unavailable
from shared.ingest.verdict import FILTER_MISSING, Limits, Verdict

MAX_REPORT = 16 * MiB  # bytes of the worker's answer beside the two forms of the model
ANSWER_PARTS = 3  # the verdict, the model, its wide form
# what a crash in native code ends with; SIGXCPU and SIGKILL are limits that the worker ran into
CRASH_SIGNALS = (signal.SIGFPE, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGTRAP)


class SystemCallFilterMissing(Unavailable):
    """The kernel takes no filter of system calls, and the deployment gives no verdict without one."""


def to_verdict(answer: bytes, status: int | None, limits: Limits, purpose: str) -> Verdict:
    """status: the worker's exit status, -N for signal N; None if it did not end in time."""
    parsed = _parse_answer(answer)
    if parsed is not None:
        confined, nothing_read = parsed[0].runtime.get("seccomp"), parsed[0].code == FILTER_MISSING
        report_filter(confined, limits, nothing_read=nothing_read)
    if parsed is not None and (verdict := _after_extremes(*parsed, status)) is not None:
        return verdict
    if status is None:
        return rejected(
            "wall_limit", f"the check was stopped after {limits.wall:g} s; make the model smaller or simpler"
        )
    if status != 0:
        return _reject_by_status(status, limits, purpose)
    return rejected("crashed", "the check ended without a verdict; export the model again")


def report_filter(confined: bool | None, limits: Limits, *, nothing_read: bool) -> None:
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
    return rejected(
        "dies_on_values",
        f"a call with {calls[-1]} ends the process that runs the model ({signal.Signals(-status).name}), and with it "
        "everyone's calls; keep such values from the operator that cannot take them (Clip, Where, Max), or export the "
        "model without it",
    )


def _reject_by_status(status: int, limits: Limits, purpose: str) -> Verdict:
    if status == -signal.SIGXCPU:
        return rejected("cpu_limit", f"it took more than {limits.cpu} s of CPU {purpose}; make the model smaller")
    if status == -signal.SIGKILL:
        return rejected("memory_limit", "the check ran out of memory and was killed; make the model smaller")
    if status < 0:
        name = signal.Signals(-status).name
        return rejected("crashed", f"the process that was started {purpose} crashed ({name}); make the package anew")
    return rejected(
        "crashed", f"the process that was started {purpose} ended with status {status}; make the package anew"
    )


def rejected(code: str, reason: str) -> Verdict:
    return Verdict(accepted=False, code=code, reason=reason)
