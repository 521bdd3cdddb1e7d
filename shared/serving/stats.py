"""What one process has counted of its calls, in the form of Triton's statistics extension.

A deployment has as many processes as it has calls at a time, and they come and go: CloudWatch has the sums.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from msgspec import Struct


class Counted(Struct):
    """Of one version. Durations in ns: of calls that failed, of reading a call, of the model, of writing its answer."""

    success: int = 0
    fail: int = 0
    fail_ns: int = 0
    input_ns: int = 0
    infer_ns: int = 0
    output_ns: int = 0
    last_ms: int = 0


class Stats:
    """Counters by model and version. Safe to share between threads."""

    def __init__(self) -> None:
        self._counted: dict[tuple[str, int], Counted] = {}
        self._lock = threading.Lock()

    def succeeded(self, model: str, version: int, began: int, fed: int, ran: int) -> None:
        """began, fed, ran: when (perf_counter_ns) the call came, the model got its input, and had run."""
        now = time.perf_counter_ns()
        with self._lock:
            counted = self._counted.setdefault((model, version), Counted())
            counted.success += 1
            counted.input_ns += fed - began
            counted.infer_ns += ran - fed
            counted.output_ns += now - ran
            counted.last_ms = int(time.time() * 1000)

    def failed(self, model: str, version: int, began: int) -> None:
        with self._lock:
            counted = self._counted.setdefault((model, version), Counted())
            counted.fail += 1
            counted.fail_ns += time.perf_counter_ns() - began

    def shown(self, model: str, version: int) -> dict[str, Any]:
        """One entry of `model_stats`."""
        counted = self._counted.get((model, version), Counted())

        def duration(count: int, ns: int) -> dict[str, int]:
            return {"count": count, "ns": ns}

        whole = counted.input_ns + counted.infer_ns + counted.output_ns
        return {
            "name": model,
            "version": str(version),
            "last_inference": counted.last_ms,
            "inference_count": counted.success,
            "execution_count": counted.success,
            "inference_stats": {
                "success": duration(counted.success, whole),
                "fail": duration(counted.fail, counted.fail_ns),
                "queue": duration(counted.success, 0),  # a function has no queue: another call is another process
                "compute_input": duration(counted.success, counted.input_ns),
                "compute_infer": duration(counted.success, counted.infer_ns),
                "compute_output": duration(counted.success, counted.output_ns),
            },
            "batch_stats": [],
        }
