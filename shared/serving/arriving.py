"""Models that are too large for the time of one call: they go on arriving behind it, and a later call takes them.

A gateway gives a call 29 seconds, in which some 2 GB come out of the store. What was ended with each call would begin
anew with the next one, and would never be there. (Lambda lets a process sleep between calls: it goes on with the next.)
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from contextvars import Context
from typing import Generic, TypeVar

from shared import deadline
from shared.errors import Unavailable
from shared.serving.layer import Later

Model = TypeVar("Model")

RETRY = 3  # seconds after which the answer to "is it there?" may be another one


class StillLoading(Unavailable):
    """Nothing is wrong: the model is not there yet."""

    code = "loading"

    retry_after = RETRY


class Arriving(Generic[Model]):
    """Of one process. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loads: dict[Hashable, Later[Model]] = {}

    def take(self, key: Hashable, begin: Callable[[], Callable[[], Model]], size: int) -> Model:
        """The model, as soon as it is there; whoever takes it keeps it. Raises StillLoading, and what loading raises.

        begin: makes room, and gives what loads; not called while the model is on its way. size: in bytes.
        """
        with self._lock:
            load = self._loads.get(key)
            if load is None:
                self._forget_unclaimed()
                # in a context of its own, which has no deadline
                load = self._loads[key] = Later(begin(), Context())
        if not load.wait(deadline.remaining()):
            raise StillLoading(
                f"the model has {size / 1e6:,.0f} MB, which are still being loaded: try again in some seconds"
            )
        self._end(key, load)
        return load.result()

    def _end(self, key: Hashable, load: Later[Model]) -> None:
        with self._lock:
            if self._loads.get(key) is load:
                del self._loads[key]

    def _forget_unclaimed(self) -> None:
        """Those that came too late for their call, and that none has asked for since: they have memory."""
        self._loads = {key: load for key, load in self._loads.items() if not load.is_over}
