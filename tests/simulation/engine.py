"""A world in one thread of time: everything that happens is an event at a virtual second, drawn from one seed.

Code under test runs in processes. A process is a thread that stops before each call of the store and each sleep, and
goes on when the engine says so; only one runs at a time, so that a seed determines the whole run (as in FoundationDB's
simulation, and TigerBeetle's). Clocks, sleeps and random numbers are the engine's while a world is running.
"""

from __future__ import annotations

import concurrent.futures
import heapq
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

START = 1_780_000_000.0  # seconds since the epoch
STACK = 512 << 10  # bytes: there are many threads, and none is deep


class Killed(BaseException):
    """The process ended here, without another word: a kill, a timeout, a machine that is gone."""


class StoreCall(NamedTuple):
    operation: str
    key: str


class Sleep(NamedTuple):
    seconds: float


@dataclass(frozen=True, slots=True)
class Fault:
    """before: raised instead of the effect; after: instead of the reply."""

    before: BaseException | None = None
    after: BaseException | None = None


Stop = StoreCall | Sleep


class Process:
    """One invocation of some code. result and error are those of its end; skew: of its clock, in seconds."""

    def __init__(self, engine: Engine, run: Callable[[], Any], skew: float = 0.0, instance: Any = None) -> None:
        self.engine, self.skew, self.instance = engine, skew, instance
        engine.processes += 1
        self.number = engine.processes
        self.stop: Stop | None = None
        self.ended, self.result, self.error = False, None, None
        self.calls = 0
        self._killed = False
        self._fault: Fault | None = None
        self._turn, self._stopped = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._main, args=(run,), daemon=True)
        self._thread.start()

    def resume(self, fault: Fault | None = None) -> None:
        """Let the process run up to its next stop, or its end. fault: of the call that it stopped before."""
        self._fault = fault
        before, self.engine.running = self.engine.running, self
        self._turn.release()
        self._stopped.acquire()
        self.engine.running = before

    def kill(self) -> None:
        """End the process: whatever it does next raises Killed."""
        self._killed = True
        self.resume()
        while not self.ended:  # a `finally` that calls the store is answered the same
            self.resume()

    def pause(self, stop: Stop) -> Fault | None:
        """In the process: wait for the engine. Raises Killed."""
        if not self._killed:
            self.stop = stop
            self._stopped.release()
            self._turn.acquire()
        if self._killed:
            raise Killed
        return self._fault

    def _main(self, run: Callable[[], Any]) -> None:
        self.engine.threads.add(threading.get_ident())
        self._turn.acquire()
        try:
            if not self._killed:
                self.result = run()
        except BaseException as error:
            self.error = error
        self.ended = True
        self.engine.threads.discard(threading.get_ident())
        self._stopped.release()


class Engine:
    """Virtual time, and what is to happen when. now: seconds since the epoch.

    failure: why the run has to end, noted where an exception would meet code that catches it. threads: its own, by
    their identifiers, and those of its processes.
    """

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.now = START
        self.running: Process | None = None
        self.failure: BaseException | None = None
        self.steps = self.processes = 0
        self.threads = {threading.get_ident()}
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        self._number += 1
        heapq.heappush(self._queue, (self.now + max(seconds, 0.0), self._number, action))

    def run(self, until: float) -> None:
        """Carry out what is due up to a time, in order. Raises the failure, as soon as there is one."""
        while self._queue and self._queue[0][0] <= until:
            self.now, _, action = heapq.heappop(self._queue)
            self.steps += 1
            action()
            if self.failure is not None:
                raise self.failure
        self.now = until

    def time(self) -> float:
        return self.now + (self.running.skew if self.running else 0.0)

    def sleep(self, seconds: float) -> None:
        if self.running is None:
            raise AssertionError("only processes sleep")
        self.running.pause(Sleep(seconds))

    def bytes(self, count: int) -> bytes:
        return self.rng.randbytes(count)


class Serial:
    """Stands for ThreadPoolExecutor: the order of calls is part of what a seed determines."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __enter__(self) -> Serial:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def map(self, function: Callable[..., Any], *values: Any) -> Iterator[Any]:
        return iter([function(*row) for row in zip(*values, strict=False)])


@contextmanager
def virtual(engine: Engine) -> Iterator[None]:
    """Clocks, sleeps, random numbers and thread pools of all that the engine runs are the engine's.

    Not those of other threads: one that is left of another test must not take turns in this world.
    """

    def of_world(virtual: Callable[..., Any], real: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *given: (virtual if threading.get_ident() in engine.threads else real)(*given)

    product = [module for name, module in sys.modules.items() if name.startswith(("shared.", "functions."))]
    replaced: list[tuple[Any, str, Any]] = [
        (time, "time", of_world(engine.time, time.time)),
        (time, "monotonic", of_world(lambda: engine.now, time.monotonic)),
        (time, "sleep", of_world(engine.sleep, time.sleep)),
        (os, "urandom", of_world(engine.bytes, os.urandom)),
    ]
    pools = [module for module in product if hasattr(module, "ThreadPoolExecutor")]
    replaced += [(module, "ThreadPoolExecutor", Serial) for module in (concurrent.futures, *pools)]
    before = [(module, name, getattr(module, name)) for module, name, _ in replaced]
    state, stack = random.getstate(), threading.stack_size(STACK)
    random.seed(engine.rng.random())
    for module, name, value in replaced:
        setattr(module, name, value)
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)
        random.setstate(state)
        threading.stack_size(stack)
