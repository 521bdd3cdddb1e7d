"""What one process has counted of its calls, in the form of Triton's statistics extension.

A deployment has as many processes as it has calls at a time, and they come and go: CloudWatch has the sums.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from msgspec import Struct

from shared.serving.observe import Call


class Counters(Struct):
    """Of one version, over all its routes. runs: of the model, of which an explanation has many.

    Durations in ns: of calls that failed, of reading a call, of the model, of writing its answer.
    """

    success: int = 0
    runs: int = 0
    fail: int = 0
    fail_ns: int = 0
    input_ns: int = 0
    infer_ns: int = 0
    output_ns: int = 0
    last: float = 0.0


class Stats:
    """Counters by model and version. Safe to share between threads."""

    def __init__(self) -> None:
        self._counters: dict[tuple[str, int], Counters] = {}
        self._lock = threading.Lock()

    def observe(self, call: Call) -> None:
        """Count a call; see observe.py."""
        key = (call.loaded.name, call.loaded.version.version)
        with self._lock:
            counters = self._counters.get(key)
            if counters is None:
                counters = self._counters[key] = Counters()
            if call.error is not None:
                counters.fail += 1
                counters.fail_ns += call.input_ns
                return
            counters.success += 1
            counters.runs += call.runs
            counters.input_ns += call.input_ns
            counters.infer_ns += call.infer_ns
            counters.output_ns += call.output_ns
            counters.last = time.time()

    def of_version(self, model: str, version: int) -> dict[str, Any]:
        """One entry of `model_stats`."""
        counters = self._counters.get((model, version), Counters())

        def duration(count: int, ns: int) -> dict[str, int]:
            return {"count": count, "ns": ns}

        whole = counters.input_ns + counters.infer_ns + counters.output_ns
        return {
            "name": model,
            "version": str(version),
            "last_inference": int(counters.last * 1000),
            "inference_count": counters.success,
            "execution_count": counters.runs,
            "inference_stats": {
                "success": duration(counters.success, whole),
                "fail": duration(counters.fail, counters.fail_ns),
                "queue": duration(counters.success, 0),  # a function has no queue: another call is another process
                "compute_input": duration(counters.success, counters.input_ns),
                "compute_infer": duration(counters.success, counters.infer_ns),
                "compute_output": duration(counters.success, counters.output_ns),
            },
            "batch_stats": [],
        }
