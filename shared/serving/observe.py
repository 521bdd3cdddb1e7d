"""The hook after an answer: observers of calls subscribe here, and routes do not know them.

Subscribers are called when the answer is ready and before it is sent, so they take no time: they count, or put aside
what they have to do. Work that takes time is done later, by what `after_answer` was given. Nothing that an observer
does or raises reaches a caller.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from shared.errors import AmaasError
from shared.serving.loaded import Loaded, Resolved

if TYPE_CHECKING:
    import numpy as np

    from shared.runtime.signature import Session

logger = logging.getLogger(__name__)


class Call(Struct, frozen=True, kw_only=True):
    """One call of a model, whether it was answered or failed.

    loaded: the version that answered, and its model, task, alias and shadow. route: infer, predict, explain,
    embeddings or rerank. error: why there is no answer. bytes_in, bytes_out: of the bodies, as they came and went.

    input_ns, infer_ns, output_ns: of reading the request, of the model's runs, of writing the response; of a call that
    failed, all its time is input_ns. runs: of the model. inputs: what it was fed in the last of them, by name: the
    tensors themselves, not copies, so that nothing is computed of them unless an observer does so.

    answer: arrays or JSON. repeat: makes the same answer with another version; None for calls not to be repeated.
    """

    loaded: Loaded
    route: str
    error: Exception | None = None
    bytes_in: int = 0
    bytes_out: int = 0
    input_ns: int = 0
    infer_ns: int = 0
    output_ns: int = 0
    runs: int = 1
    inputs: Mapping[str, np.ndarray] = {}
    answer: Any = None
    repeat: Callable[[Loaded], Any] | None = None

    @property
    def status(self) -> int:
        """As HTTP has it."""
        return status_of(self.error)


class FailedLoad(Struct, frozen=True, kw_only=True):
    """A call of a version that was found, and could not be loaded. ns: that it took until then."""

    resolved: Resolved
    route: str
    error: Exception
    ns: int = 0
    bytes_in: int = 0


def status_of(error: Exception | None) -> int:
    if error is None:
        return 200
    return error.status if isinstance(error, AmaasError) else 500


Observer = Callable[[Call], None]


class Observers:
    """Those of one process. Safe to share between threads once all have subscribed."""

    def __init__(self) -> None:
        self._observers: list[Observer] = []
        self._of_failed_loads: list[Callable[[FailedLoad], None]] = []
        self._later: list[Callable[[float], None]] = []

    def subscribe(self, observer: Observer) -> None:
        self._observers.append(observer)

    def subscribe_to_failed_loads(self, observer: Callable[[FailedLoad], None]) -> None:
        self._of_failed_loads.append(observer)

    def after_answer(self, work: Callable[[float], None]) -> None:
        """Have work done when the caller has the answer. It is given the seconds that are left, and keeps to them."""
        self._later.append(work)

    def notify(self, call: Call) -> None:
        for observer in self._observers:
            try:
                observer(call)
            except Exception:
                logger.exception("an observer failed", extra={"model": call.loaded.name, "route": call.route})

    def notify_failed_load(self, failure: FailedLoad) -> None:
        for observer in self._of_failed_loads:
            observer(failure)

    def work(self, seconds: float) -> None:
        """Do what was put aside, while there is time."""
        until = time.monotonic() + seconds
        for work in self._later:
            try:
                work(until - time.monotonic())
            except Exception:
                logger.exception("work after an answer failed")


class TimedSession:
    """A session that notes how often and how long it ran, and what it was fed: for one call, in one thread."""

    __slots__ = ("_session", "inputs", "ns", "runs")

    def __init__(self, session: Session) -> None:
        self._session = session
        self.ns, self.runs = 0, 0
        self.inputs: dict[str, np.ndarray] = {}

    def run(self, outputs: list[str] | None, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        started = time.perf_counter_ns()
        arrays = self._session.run(outputs, feeds)
        self.ns += time.perf_counter_ns() - started
        self.runs += 1
        self.inputs = feeds
        return arrays
