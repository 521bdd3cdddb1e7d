"""Callers that share a store and take turns at every request of it, in an order that is given; some die at one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any


class Killed(BaseException):
    """As when the process is killed: no `except Exception` sees it."""


@dataclass
class Caller:
    """work: gets a store. dies_at: the request, counted from 1, that it does not outlive; after: it is carried out."""

    work: Callable[[Any], Any]
    dies_at: int | None = None
    after: bool = False
    result: Any = None
    error: BaseException | None = None
    finished: bool = False
    requests: int = 0
    go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    waits: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def run(self, store: Any) -> None:
        try:
            self.result = self.work(Turns(store, self))
        except BaseException as error:
            self.error = error
        finally:
            self.finished = True
            self.waits.release()


class Turns:
    """A store whose every request waits for its caller's turn."""

    def __init__(self, store: Any, caller: Caller) -> None:
        self._store, self._caller = store, caller

    def __getattr__(self, name: str) -> Any:
        method, caller = getattr(self._store, name), self._caller

        def request(*args: Any, **options: Any) -> Any:
            caller.waits.release()
            caller.go.acquire()
            caller.requests += 1
            if caller.requests == caller.dies_at and not caller.after:
                raise Killed
            answer = method(*args, **options)
            if caller.requests == caller.dies_at:
                raise Killed
            return answer

        return request


def take_turns(store: Any, callers: Sequence[Caller], order: Sequence[int], look: Callable[[], None]) -> None:
    """Run the callers to their ends. order: whose turn it is, among those that go on. look: called after each turn."""
    threads = [threading.Thread(target=caller.run, args=(store,), daemon=True) for caller in callers]
    for thread, caller in zip(threads, callers, strict=True):
        thread.start()
        caller.waits.acquire()
    turn = 0
    while going := [caller for caller in callers if not caller.finished]:
        caller = going[order[turn % len(order)] % len(going)]
        turn += 1
        caller.go.release()
        caller.waits.acquire()
        look()
    for thread in threads:
        thread.join()
