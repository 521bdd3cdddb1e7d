"""A session whose model, or tokenizer, runs in a process of its own: a wall around it, and the members of any other.

The runner checks nothing that this process relies on: what comes back is read as a stranger's. A model that ends its
runner, or is too slow, is an error of that call; the next one starts another runner on the same file.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from shared import budget, deadline
from shared.errors import AmaasError, BadInput, TooLarge, Unavailable
from shared.runtime import exchange
from shared.runtime.exchange import ANSWERS, REQUESTS, Answer, Failure, Ready, Run, Unreadable
from shared.runtime.runners import Crashed, Ended, Runner, TimedOut
from shared.runtime.signature import OutOfMemory, Signature, Unloadable
from shared.runtime.zygotes import Cutting, Decoding, Order

logger = logging.getLogger(__name__)

LOADING = 60.0  # seconds for a model to be loaded where nobody waits for it
NO_MEMORY = "the model ran out of memory on this input; send a smaller one, or make the model smaller"
RAISED: dict[str, Callable[[str], AmaasError]] = {
    "BadInput": BadInput,
    "TooLarge": TooLarge,
    # of a 5xx the log has the words: ours, not those of a runner that may have been taken over
    "OutOfMemory": lambda _: OutOfMemory(NO_MEMORY),
}


class Confined:
    """As signature.Session. Calls take turns: a runner does one thing at a time."""

    def __init__(self, files: Sequence[int], order: Order, on_death: Callable[[str], Any] | None = None) -> None:
        """files: descriptors of the model's file, and of its weights', whose bytes do not change; this session closes
        them.

        on_death: called with the name of a signal when the model has ended its runner, or with "deadline". Raises
        Unloadable, OutOfMemory, Crashed, TimedOut; Unavailable where the kernel refuses the filter that is required.
        """
        self._files, self._order, self.on_death = tuple(files), order, on_death
        self._noun = "the model's tokenizer" if order.cutting else "the model"
        self._lock = threading.Lock()
        self._held: list[Runner] = []
        self._finalizer = weakref.finalize(self, _let_go, self._files, self._held)
        ready = self._started()
        self.inputs, self.optional, self.outputs = ready.inputs, ready.optional, ready.outputs
        self.filtered = ready.filtered
        self._signature = Signature(self.inputs, self.optional, self.outputs)

    def close(self) -> None:
        """End the runner, and give its memory back. So does forgetting the session."""
        self._finalizer()

    @property
    def resident(self) -> int:
        """Bytes of memory that the runner has of its own, as the kernel counts them; 0 while there is none."""
        return self._held[0].resident() if self._held else 0

    @property
    def pid(self) -> int | None:
        """Of the runner, while there is one."""
        return self._held[0].pid if self._held else None

    def run(self, outputs: list[str] | None, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Compute the named outputs, or all, before the call's deadline.

        Raises BadInput when the model cannot take these values, TooLarge for what takes too much room, OutOfMemory,
        Crashed when the model ended its process, TimedOut.
        """
        checked = self._signature.check(outputs, feeds)
        try:
            tensors, contents = exchange.describe(checked.items())
        except UnicodeEncodeError as error:
            raise BadInput(f"a text is no Unicode, which ONNX strings have to be: {error.reason}") from error
        left = deadline.remaining()
        if not self._lock.acquire(timeout=-1 if left is None else max(0.0, left)):
            raise TimedOut("another call of this model took all the time that there was; try again", None)
        try:
            if self._held and not self._held[0].is_idle:  # it died between two calls, which is no fault of this one
                ended = Ended(self._held.pop().end())
                if ended.status is not None:  # else with the zygote, whatever ended that
                    self._tell(ended.reason)
            if not self._held:
                self._started()
            return self._asked(Run(outputs, tensors), contents)
        finally:
            self._lock.release()

    def _asked(self, run: Run, contents: list[Any]) -> list[np.ndarray]:
        runner = self._held[0]
        length = exchange.write(runner.area, REQUESTS, run, contents)
        reply = self._reply(runner, length, deadline.remaining(), "this input")
        try:
            if isinstance(reply, Failure) and reply.kind in RAISED:
                raise _error(reply)
            if not isinstance(reply, Answer):  # nor a failure to load: the words of that one are in the log
                raise Unreadable("no answer")
            return self._read(runner, run, reply)
        except Unreadable as error:
            runner.end()
            # what exactly is the runner's word, which may have been taken over: the log has ours only
            raise self._dead("answered what cannot be read", "unreadable", "this input") from error
        finally:
            runner.give_back()

    def _read(self, runner: Runner, run: Run, answer: Answer) -> list[np.ndarray]:
        """Copies of the outputs, which have to be those that the model has declared. Raises Unreadable."""
        names = run.outputs or list(self._signature.outputs)
        if [tensor.name for tensor in answer.outputs] != names:
            raise Unreadable("other outputs")
        for tensor in answer.outputs:
            if tensor.datatype != self._signature.outputs[tensor.name].datatype:
                raise Unreadable("an output of another type")
        budget.take(sum(exchange.room(tensor) for tensor in answer.outputs), f"the answer of {self._noun}")
        tensors = exchange.read_tensors(runner.area, ANSWERS, runner.length, answer.outputs)
        return [array if array.dtype.kind == "O" else array.copy() for array in tensors]

    def _started(self) -> Ready:
        """Start a runner, and have it load the model."""
        left = deadline.remaining()
        runner = Runner(self._order, self._files)
        self._held.append(runner)
        reply = self._reply(runner, None, LOADING if left is None else left, "being loaded")
        if isinstance(reply, Ready):
            return reply
        self._held.clear()
        runner.end()
        if isinstance(reply, Failure):
            raise _error(reply)
        raise Unavailable(f"{self._noun} cannot be loaded: its process answered what cannot be read; push it again")

    def _reply(self, runner: Runner, length: int | None, seconds: float | None, what: str) -> exchange.Reply | None:
        """None when it cannot be read. Raises Crashed, TimedOut, OutOfMemory; then the runner is gone."""
        try:
            return runner.receive(seconds) if length is None else runner.ask(length, seconds)
        except Ended as ended:
            if ended.status is None:  # with the zygote, whatever ended that
                self._held.clear()
                raise Unavailable("the process that runs the model has ended with all others; try again") from ended
            if ended.status == -signal.SIGKILL:  # by nobody here
                self._dead("", "SIGKILL", what)
                raise OutOfMemory(f"{self._noun} ran out of memory, and was ended; send a smaller input") from ended
            raise self._dead(f"crashed ({ended.reason})", ended.reason, what) from ended
        except TimeoutError as error:
            self._held.clear()
            self._tell("deadline")
            waited = "any" if seconds is None else f"{max(0.0, seconds):.1f}"
            raise TimedOut(
                f"{self._noun} was not ready within the {waited} s that were left, and was stopped: send fewer or "
                "smaller inputs at a time, or try again"
            ) from error
        except Unreadable:
            return None

    def _dead(self, deed: str, reason: str, what: str) -> Crashed:
        """The error of a call whose runner has ended. reason: for the figures."""
        self._held.clear()
        self._tell(reason)
        return Crashed(
            f"{self._noun} {deed} on {what}; no other call is affected. Send another input, and report this one to "
            "whoever uploaded the model",
            reason,
        )

    def _tell(self, reason: str) -> None:
        if self.on_death is not None:
            self.on_death(reason)


def _let_go(files: Sequence[int], held: list[Runner]) -> None:
    for runner in held:
        runner.leave()
    held.clear()
    for file in files:
        os.close(file)


def _error(failure: Failure) -> AmaasError:
    if failure.kind == "Unloadable":
        return Unloadable(failure.message[:2000], failure.detail[:100])
    if failure.kind == "Unconfined":
        return Unavailable(
            "the model is not served: the kernel refuses the system-call filter that strangers' models need; deploy "
            "with RequireSystemCallFilter=false to do without"
        )
    return RAISED.get(failure.kind, BadInput)(failure.message[:2000])


def load(path: str, *, threads: int, mapped: bool, memory: int, filtered: bool, **more: Any) -> Confined:
    """A confined session of the model in a file, which may be removed afterwards. See Order and Confined."""
    model = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    return Confined([model], Order(threads, mapped, memory, filtered), **more)


def load_decoder(
    path: str, data: Mapping[str, str], decoding: Decoding, *, threads: int, memory: int, filtered: bool
) -> Confined:
    """A confined session of the decoder in a file, as reading.Reading has it. Raises what Confined does.

    data: paths of the files with its weights, by the names that the graph has for them. memory: beside their sizes.
    """
    files: list[int] = []
    try:
        for place in (path, *data.values()):
            files.append(os.open(place, os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        for file in files:
            os.close(file)
        raise
    # kernels have weights in an order of their own, beside the file's
    memory += sum(os.fstat(file).st_size for file in files)
    decoding = msgspec.structs.replace(decoding, files=tuple(data))
    return Confined(files, Order(threads, mapped=True, memory=memory, filtered=filtered, decoding=decoding))


def load_tokenizer(raw: bytes, cutting: Cutting, *, memory: int, filtered: bool) -> Confined:
    """A confined session of a tokenizer.json, as tokens.load has it. Raises what Confined does."""
    file = os.memfd_create("tokenizer", os.MFD_CLOEXEC)
    with open(file, "wb", closefd=False) as writer:
        writer.write(raw)
    return Confined([file], Order(1, mapped=False, memory=memory, filtered=filtered, cutting=cutting))
