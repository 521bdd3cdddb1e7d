"""Shadows: a version that gets a copy of each call after its caller has the answer; the two answers are compared.

Nobody waits for a shadow, and nothing that it does reaches a caller: it has a queue that drops what does not fit, works
when the answer is out, at the lowest priority, and leaves a line in the log, which is also the metrics.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from shared import deadline, metrics
from shared.serving.loaded import Loaded
from shared.serving.models import Models
from shared.serving.observe import Call

# answers to be compared that are kept in memory, with what they were asked
WAITING = 4
# seconds that are left to Lambda itself
MARGIN = 1.0
TOLERANCE = 0.01


class Compared(Struct, frozen=True):
    """same: no text differs, no number by more than TOLERANCE. largest: the largest difference of two numbers."""

    same: bool
    largest: float = 0.0


class Shadows:
    """The shadow calls of one process. afterwards: another part of the process calls `work`; else a thread does."""

    def __init__(
        self,
        models: Models,
        *,
        afterwards: bool = False,
        counted: Callable[[Call, str], None] = lambda call, outcome: None,
    ) -> None:
        """counted: is told of each call what became of its shadow: compared, different, failed or dropped."""
        self._models = models
        self._counted = counted
        self._waiting: queue.Queue[Call] = queue.Queue(WAITING)
        self._afterwards = afterwards
        self._started = False
        self._lock = threading.Lock()

    def observe(self, call: Call) -> None:
        """Have a call repeated with its shadow, if its alias has one. Takes no time, whatever happens."""
        served = call.loaded
        if call.error is not None or call.repeat is None:
            return
        if served.shadow is None or served.shadow == served.version.version:
            return
        try:
            self._waiting.put_nowait(call)
        except queue.Full:
            self._counted(call, "dropped")
            _report(served, {"ShadowDropped": 1}, reason="too many shadow calls are waiting")
            return
        if not self._afterwards:
            self._start()

    def work(self, seconds: float) -> None:
        """Repeat the calls that wait, as long as there is time."""
        until = time.monotonic() + seconds - MARGIN
        while (left := until - time.monotonic()) > 0:
            try:
                call = self._waiting.get_nowait()
            except queue.Empty:
                return
            with deadline.within(left):
                self._repeat(call)

    def _start(self) -> None:
        with self._lock:
            if not self._started:
                self._started = True
                threading.Thread(target=self._run, name="shadows", daemon=True).start()

    def _run(self) -> None:
        _lower_priority()
        while True:
            self._repeat(self._waiting.get())

    def _repeat(self, call: Call) -> None:
        assert call.repeat is not None, "as `observe` takes them"
        started, served = time.perf_counter(), call.loaded
        try:
            shadow = self._models.load(served.name, str(served.shadow))
            comparison = compare(call.answer, call.repeat(shadow))
        except Exception as error:  # whatever is wrong with a shadow is for its log line
            self._counted(call, "failed")
            _report(served, {"Shadowed": 1, "ShadowFailed": 1}, reason=f"{type(error).__name__}: {error}"[:400])
            return
        self._counted(call, "compared" if comparison.same else "different")
        counts = {"Shadowed": 1, "ShadowDifferent": int(not comparison.same)}
        duration = {"ShadowDuration": round((time.perf_counter() - started) * 1000, 2)}
        _report(served, counts | duration, same=comparison.same, largest=comparison.largest)


def compare(served: Any, shadow: Any) -> Compared:
    """Two answers: arrays, or JSON of any depth. Which version gave them is not compared."""
    if isinstance(served, np.ndarray) and served.dtype.kind in "fiub":
        return _arrays(served, shadow)
    if isinstance(served, Mapping):
        if not isinstance(shadow, Mapping) or served.keys() != shadow.keys():
            return Compared(False)
        return _all([compare(value, shadow[key]) for key, value in served.items() if key != "version"])
    if isinstance(served, (Sequence, np.ndarray)) and not isinstance(served, (str, bytes)):
        if not isinstance(shadow, (Sequence, np.ndarray)) or len(served) != len(shadow):
            return Compared(False)
        return _all([compare(one, other) for one, other in zip(served, shadow, strict=True)])
    if isinstance(served, (int, float)) and isinstance(shadow, (int, float)):
        return _arrays(np.array(served), np.array(shadow))
    return Compared(bool(served == shadow))


def _arrays(served: np.ndarray, shadow: Any) -> Compared:
    if not isinstance(shadow, np.ndarray) or shadow.dtype.kind not in "fiub" or served.shape != shadow.shape:
        return Compared(False)
    one, other = served.astype(np.float64), shadow.astype(np.float64)
    same = np.allclose(one, other, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
    with np.errstate(invalid="ignore"):  # infinity less infinity
        apart = np.abs(one - other)
    return Compared(bool(same), float(np.max(apart, initial=0.0, where=np.isfinite(apart))))


def _all(parts: list[Compared]) -> Compared:
    return Compared(all(part.same for part in parts), max((part.largest for part in parts), default=0.0))


def _report(served: Loaded, figures: dict[str, float], **details: Any) -> None:
    """By model. Never inputs or answers."""
    versions = {"version": served.version.version, "shadow": served.shadow, "revision": served.revision}
    metrics.event("shadow", figures, {"service": "shadow", "model": served.name}, versions | details)


def _lower_priority() -> None:
    """Of this thread only, where the system has such (Linux)."""
    if hasattr(os, "setpriority"):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
