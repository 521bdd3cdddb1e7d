"""The cloud around the functions: a bucket with events and expiry, and functions that are invoked, retried and killed.

What it does to the functions is what AWS documents: storage events come at least once, late and in any order; an
asynchronous invocation that fails is tried three times in all, then its event is in the dead-letter queue; a function
that takes too long is killed; replies are lost; the store is slow, refuses, or is away for a while.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

from shared.config import Config
from shared.entry import wiring
from shared.errors import Unavailable
from shared.registry.log import Log
from shared.storage.memory import MemoryStore
from tests.cloud.template import TEMPLATE
from tests.simulation.engine import Engine, Fault, Killed, Process, Sleep, StoreCall
from tests.simulation.rules import Broken
from tests.support import s3_event

DAY = 86400.0
Watcher = Callable[[str, str, bytes | None], None]  # operation, key, body
# what the product raises by a mistake only; retries would hide it
MISTAKES = (AssertionError, AttributeError, IndexError, KeyError, NameError, TypeError)
CONFIG = Config(bucket="simulated")
ATTEMPTS, RETRY_AFTER = 3, (60.0, 120.0)
# at which call an invocation is killed at the latest, where it is; others make few calls
FATAL = {"ingest": 40, "sweep": 40, "batchplan": 20, "batchwork": 40}


def _days(value: Any) -> int:
    """As in the template: a number, or the parameter that it is the value of."""
    return int(TEMPLATE["Parameters"][value["Ref"]]["Default"] if isinstance(value, dict) else value)


EXPIRY = {
    rule["Prefix"]: _days(rule["ExpirationInDays"]) * DAY
    for rule in TEMPLATE["Resources"]["Data"]["Properties"]["LifecycleConfiguration"]["Rules"]
    if "ExpirationInDays" in rule
}


@dataclass(frozen=True, kw_only=True)
class Weather:
    """What goes wrong, as shares between 0 and 1, and seconds.

    before, after: of the store's calls that fail before their effect, and whose reply is lost. full: of downloads that
    meet a full disk. kill: of invocations that are killed at some call. lost, twice: of storage events. late: the most
    that an event is delayed. skew: the most that a process's clock is off. outages: times in which the store is away,
    as (from, to), in seconds since the start.
    """

    before: float = 0.0
    after: float = 0.0
    full: float = 0.0
    kill: float = 0.0
    lost: float = 0.0
    twice: float = 0.0
    late: float = 0.0
    skew: float = 0.0
    outages: tuple[tuple[float, float], ...] = ()

    @property
    def interrupts(self) -> bool:
        """Whether a check may be interrupted."""
        return bool(self.before or self.after or self.full or self.kill or self.outages)


# events are lost on fine days, too
CALM = Weather(lost=0.3, twice=0.3, late=60.0)


class Instance:
    """A warm copy of a function: what it remembers outlives its invocations."""

    def __init__(self, store: Bucket) -> None:
        self.log = Log(store, on_commit=wiring._committed)


class Context:
    """Of Lambda: how much time is left."""

    def __init__(self, engine: Engine, deadline: float) -> None:
        self._engine, self._deadline = engine, deadline

    def get_remaining_time_in_millis(self) -> float:
        return (self._deadline - self._engine.now) * 1000


class Bucket:
    """The store as functions see it: each call stops the process, and may fail."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(key: str, *arguments: Any, **options: Any) -> Any:
            return self._cloud.store_call(operation, key, *arguments, **options)

        call.__name__ = operation
        setattr(self, operation, call)
        return call


class Cloud:
    """objects: what the bucket holds. dead: events in the dead-letter queue."""

    def __init__(self, engine: Engine, functions: dict[str, tuple[Callable[..., Any], float]]) -> None:
        """functions: by name, the handler and its timeout in seconds."""
        self.engine, self.functions = engine, functions
        self.objects = MemoryStore()
        self.bucket = Bucket(self)
        self.weather = CALM
        self.began = engine.now
        self.dead: list[dict[str, Any]] = []
        self.outstanding = 0
        self.watchers: list[Watcher] = []
        self._idle: dict[str, list[Instance]] = {name: [] for name in functions}

    # ---- the bucket

    def store_call(self, operation: str, key: str, *arguments: Any, **options: Any) -> Any:
        """In a process: stop, then fail, or have the effect. Watchers see effects."""
        process = self.engine.running
        if process is None:
            return getattr(self.objects, operation)(key, *arguments, **options)
        if operation in ("presign_put", "presign_get"):  # no request: a signature is computed
            return getattr(self.objects, operation)(key, *arguments, **options)
        fault = process.pause(StoreCall(operation, key)) or Fault()
        if fault.before is not None:
            raise fault.before
        self.engine.running = None  # the store's clock is right
        try:
            answer = getattr(self.objects, operation)(key, *arguments, **options)
            self._notify(operation, key, arguments)
        finally:
            self.engine.running = process
        if fault.after is not None:
            raise fault.after
        return answer

    def _notify(self, operation: str, key: str, arguments: tuple[Any, ...]) -> None:
        if operation in ("put", "delete"):
            for watch in self.watchers:
                try:
                    watch(operation, key, arguments[0] if operation == "put" else None)
                except Broken as error:  # the code under test, which made this call, would catch it and try again
                    self.engine.failure = self.engine.failure or error

    def upload(self, key: str, body: bytes) -> None:
        """A client's PUT to the bucket itself, and the events that come of it."""
        self.objects.put(key, body)
        if not key.startswith(("uploads/", "inbox/")):
            return
        rng, weather = self.engine.rng, self.weather
        copies = 0 if rng.random() < weather.lost else 2 if rng.random() < weather.twice else 1
        for _ in range(copies):
            event = s3_event(quote_plus(key))
            self.engine.after(1 + rng.random() * weather.late, lambda event=event: self.deliver("ingest", event))

    def expire(self) -> None:
        """Once a day: the lifecycle rules of the template."""
        for key, stored in list(self.objects._objects.items()):
            if any(
                key.startswith(prefix) and self.engine.now - stored.modified > age for prefix, age in EXPIRY.items()
            ):
                self.objects.delete(key)

    # ---- functions

    def deliver(self, function: str, event: dict[str, Any], attempt: int = 1) -> None:
        """Invoke a function asynchronously."""

        def ended(process: Process) -> None:
            if process.error is None:
                return
            if attempt < ATTEMPTS:
                self.engine.after(RETRY_AFTER[attempt - 1], lambda: self.deliver(function, event, attempt + 1))
            else:
                self.dead.append(event)

        self.invoke(function, event, ended)

    def invoke(self, function: str, event: Any, ended: Callable[[Process], None]) -> None:
        """Start an invocation. event: for the handler; a callable is called in the handler's place, in the process."""
        handler, timeout = self.functions[function]
        rng, weather = self.engine.rng, self.weather
        instance = self._idle[function].pop() if self._idle[function] else Instance(self.bucket)
        skew = (rng.random() * 2 - 1) * weather.skew
        context = Context(self.engine, self.engine.now + timeout)
        run = event if callable(event) else lambda: handler(event, context)
        process = Process(self.engine, run, skew, instance)
        fatal = rng.randrange(1, FATAL.get(function, 12)) if rng.random() < weather.kill else 0
        self.outstanding += 1
        self._step(process, self.engine.now + timeout, fatal, function, ended)

    def _step(
        self,
        process: Process,
        deadline: float,
        fatal: int,
        function: str,
        ended: Callable[[Process], None],
        fault: Fault | None = None,
    ) -> None:
        """Let the process run to its next stop, and schedule what follows. fatal: the call that it is killed at."""
        if (fatal and process.calls == fatal) or self.engine.now > deadline:
            process.kill()
        else:
            process.resume(fault)
        if process.ended:
            self.outstanding -= 1
            if isinstance(process.error, MISTAKES):
                self.engine.failure = self.engine.failure or process.error
            if not isinstance(process.error, Killed):
                self._idle[function].append(process.instance)
            ended(process)
            return
        wait, fault = self._next(process)
        process.calls += 1
        self.engine.after(wait, lambda: self._step(process, deadline, fatal, function, ended, fault))

    def _next(self, process: Process) -> tuple[float, Fault | None]:
        """How long the process waits at its stop, and what becomes of its call."""
        stop, rng, weather = process.stop, self.engine.rng, self.weather
        if isinstance(stop, Sleep):
            return stop.seconds, None
        latency = 0.005 + rng.expovariate(1 / 0.03)
        if any(start <= self.engine.now - self.began < end for start, end in weather.outages):
            return 0.5, Fault(before=Unavailable("the store is away (simulated)"))
        if stop is not None and stop.operation == "download" and rng.random() < weather.full:
            return latency, Fault(before=OSError(errno.ENOSPC, "No space left on device (simulated)"))
        draw = rng.random()
        if draw < weather.before:
            return latency, Fault(before=Unavailable("refused (simulated)"))
        if draw < weather.before + weather.after:
            return latency, Fault(after=Unavailable("the reply was lost (simulated)"))
        return latency, None

    def wired(self) -> list[tuple[Any, str, Any]]:
        """What to put in the place of the functions' wiring: (module, name, value)."""
        stand_ins: dict[Any, Any] = {
            wiring.log: lambda: self._instance().log,
            wiring.reading: lambda: self._instance().log,
            wiring.store: lambda: self.bucket,
            wiring.config: lambda: CONFIG,
        }
        return [
            (module, name, stand_ins[value])
            for path, module in list(sys.modules.items())
            if path.startswith(("functions.", "shared.entry."))
            for name, value in list(vars(module).items())
            if callable(value) and getattr(value, "__hash__", None) and value in stand_ins
        ]

    def holder(self) -> str:
        """Stands for the number of a process and its thread."""
        assert self.engine.running is not None, "only processes hold something"
        return str(self.engine.running.number)

    def _instance(self) -> Instance:
        process = self.engine.running
        assert process is not None, "only processes have a log"
        return process.instance
