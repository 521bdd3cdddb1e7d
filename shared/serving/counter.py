"""Counts the calls of one process, at next to nothing while a caller waits: a call is put aside, and counted later.

Later is after the answer, where Lambda lets work go on then, and in a thread elsewhere. Whatever counting needs is
imported then. The observers' other figures (stats.py) are of the process alone; these are added up for the deployment.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from shared import deadline
from shared.errors import AmaasError
from shared.serving.loaded import Loaded
from shared.serving.observe import Call, FailedLoad, TimedSession

if TYPE_CHECKING:
    from shared.counts.counts import Counts
    from shared.counts.unwritten import Unwritten
    from shared.storage.base import Store

# calls that are put aside, with what they were asked and answered, before the next one is made to count them
WAITING = 16
LARGE = 4 << 20  # bytes of inputs that do not wait for the thread
LEAST = 1.0  # seconds that a write needs; with less, it is left for the next time
TICK = 1.0  # seconds between two looks of the thread


def counted(
    counter: Counter, loaded: Loaded, body: bytes, compute: Callable[[Loaded], dict[str, Any]], route: str = "batch"
) -> dict[str, Any]:
    """What `compute` answers for one input of a batch, counted as a call of the version. Raises what it raises."""
    started_ns = time.perf_counter_ns()
    session = TimedSession(loaded.session)
    # what it took to find and load the model was for all inputs
    seen = replace(loaded, session=session, items=[], resolve_ns=0, load_ns=0, fresh=False)
    try:
        answer = compute(seen)
    except Exception as error:
        elapsed = time.perf_counter_ns() - started_ns
        counter.observe(Call(loaded=seen, route=route, error=error, input_ns=elapsed, bytes_in=len(body), runs=0))
        raise
    elapsed = time.perf_counter_ns() - started_ns
    counter.observe(
        Call(
            loaded=seen,
            route=route,
            input_ns=elapsed - session.ns,
            infer_ns=session.ns,
            bytes_in=len(body),
            runs=session.runs,
            inputs=session.inputs,
            answer=answer,
        )
    )
    return answer


class Counter:
    """Of one process. Safe to share between threads. ready_ns: what the process took before its first call.

    memory_mb: of the function, None where that is not known.
    """

    def __init__(
        self,
        store: Callable[[], Store],
        *,
        ready_ns: int = 0,
        afterwards: bool = False,
        memory_mb: Callable[[], int | None] = lambda: None,
    ) -> None:
        """afterwards: another part of the process calls `work` after each answer; else a thread does."""
        self._store = store
        self._memory_mb = memory_mb
        self._ready_ns = ready_ns
        self._waiting: deque[tuple[float, Call | FailedLoad]] = deque()
        self._afterwards = afterwards
        self._lock = threading.Lock()
        self._unwritten: Unwritten | None = None
        self._cold = True
        self._started = False

    def observe(self, call: Call | FailedLoad) -> None:
        is_large = False
        if isinstance(call, Call):
            # of tensors that are answered nothing is counted, and what waits must not add up
            call = replace(call, answer=call.answer if isinstance(call.answer, Mapping) else None, repeat=None)
            is_large = sum(array.nbytes for array in call.inputs.values()) > LARGE
        self._waiting.append((time.time(), call))
        if len(self._waiting) >= WAITING or (is_large and not self._afterwards):
            self.fold()
        if not (self._afterwards or self._started):
            self._start()

    def shadowed(self, call: Call, outcome: str) -> None:
        """Of a call's shadow: compared, different, failed or dropped."""
        from shared.serving import counting

        loaded = call.loaded
        self.unwritten.add(counting.key_of(loaded), int(time.time() // 60), counting.shadow(outcome))

    @property
    def unwritten(self) -> Unwritten:
        if self._unwritten is None:
            from shared.counts.unwritten import Unwritten

            with self._lock:
                self._unwritten = self._unwritten or Unwritten()
        return self._unwritten

    def _note_memory(self, counts: Counts) -> None:
        memory = self._memory_mb()
        if memory is not None:
            counts.billed_by_mb = {str(memory): counts.billed_ms}
            counts.cold_by_mb = {str(memory): counts.cold_ms} if counts.cold_ms else {}

    def fold(self) -> None:
        """Count what was put aside."""
        from shared.serving import counting

        while True:
            try:
                at, call = self._waiting.popleft()
            except IndexError:
                return
            with self._lock:
                cold, self._cold = self._cold, False
            counts = counting.of(call)
            if cold:
                counts.cold, counts.cold_ms = 1, self._ready_ns // 10**6
            self._note_memory(counts)
            key = counting.key_of(call.loaded if isinstance(call, Call) else call.resolved)
            self.unwritten.add(key, int(at // 60), counts)

    def work(self, seconds: float) -> None:
        """Count what was put aside, and write it if it is time to. Raises Unavailable."""
        self.fold()
        if seconds > LEAST and self.unwritten.is_due():
            with deadline.within(seconds - LEAST / 2):
                self.unwritten.write(self._store())

    def finish(self) -> None:
        """Write what is left, at the end of the process. Raises Unavailable."""
        self.fold()
        self.unwritten.write(self._store())

    def _start(self) -> None:
        with self._lock:
            if not self._started:
                self._started = True
                threading.Thread(target=self._run, name="counts", daemon=True).start()

    def _run(self) -> None:
        while True:
            time.sleep(TICK)
            try:
                self.work(60.0)
            except AmaasError:  # of the store: it is written with the next look
                continue
