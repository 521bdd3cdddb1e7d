"""Which core a runner works on: for short calls, that of the thread which waits for it.

On another core, a call waits twice until that has woken up, on virtual machines 100 µs each time, while the caller's
own has nothing to do. A long call is left to the scheduler: it may find its core taken by somebody else.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

SHORT = 0.01  # seconds


class SharedCore:
    """Of one runner, and of one thread at a time. pid: the runner's."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._every = os.sched_getaffinity(0)
        self._getcpu = getattr(ctypes.CDLL(None), "sched_getcpu", None)  # of glibc and musl
        self._core: int | None = None  # that the runner is bound to
        self._is_short = False

    @contextmanager
    def sharing(self) -> Iterator[None]:
        """During a call: if the one before was short, on one core. Afterwards, this thread may be on any it was on."""
        before = self._bind() if self._is_short else None
        started = time.monotonic()
        try:
            yield
        finally:
            self._is_short = time.monotonic() - started < SHORT
            if before:
                os.sched_setaffinity(0, before)
            if self._core is not None and not self._is_short:
                self._release()

    def _bind(self) -> set[int] | None:
        """Put both on one core. Returns the cores that this thread may be on otherwise; None where nothing was done."""
        before = os.sched_getaffinity(0)
        if len(before) == 1 or self._getcpu is None:
            return None
        core = self._getcpu()
        try:
            os.sched_setaffinity(0, {core})
            if core != self._core:
                os.sched_setaffinity(self._pid, {core})
        except OSError:  # what may be used was changed, or the runner is dead, which its answer will tell
            os.sched_setaffinity(0, before)
            return None
        self._core = core
        return before

    def _release(self) -> None:
        self._core = None
        try:
            os.sched_setaffinity(self._pid, self._every)
        except OSError:  # it is dead
            return
