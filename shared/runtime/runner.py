"""The runner: a process that has one strangers' model, or tokenizer, and runs it.

Forked from the zygote, it confines itself before it reads a byte of that.

Whatever a model makes of this process, there is nothing to be had in it: no credentials, no file, no socket but the one
to the process that asks, no system call but those of computing, and a bound on memory. It may be killed at any time.
"""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

import numpy as np

from shared.errors import AmaasError, BadInput, TooLarge
from shared.runtime import exchange, memory, onnx, sandbox
from shared.runtime.exchange import ANSWER_BYTES, ANSWERS, AREA_BYTES, REQUESTS, WORD, MiB
from shared.runtime.signature import OutOfMemory, Session, Unloadable
from shared.runtime.zygotes import Order

# By class, exactly: what a runner reports of an error, and what the other side raises again.
FAILURES: dict[str, type[AmaasError]] = {
    error.__name__: error for error in (BadInput, TooLarge, OutOfMemory, Unloadable)
}
UNCONFINED = "Unconfined"  # one more kind: the system-call filter is required, and the kernel refuses it
PAGE = os.sysconf("SC_PAGE_SIZE")
# Resident memory beyond what loading took that is given back after a call: less may be of use to the next one.
SPARE = 64 * MiB


class Runner:
    """One process with its one model. channel: the socket. area: memory that is shared with who asks."""

    def __init__(self, channel: int, area: mmap.mmap) -> None:
        self._channel = channel
        self._area = area
        self._statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
        self._resident = 0

    def address_space(self) -> int:
        """Bytes."""
        return int(os.pread(self._statm, 100, 0).split()[0]) * PAGE

    def resident(self) -> int:
        """Bytes of its own: without what it shares with other processes, or has mapped of a file."""
        _, pages, shared, *_ = os.pread(self._statm, 100, 0).split()
        return (int(pages) - int(shared)) * PAGE

    def serve(self, load: Callable[[], Session], filtered: bool) -> NoReturn:
        """Load the model and answer requests until the other side is gone."""
        session = self._attempt(load)
        if session is None:
            os._exit(1)
        self._send(exchange.Ready(session.inputs, session.optional, session.outputs, filtered))
        self._resident = self.resident()
        while length := self._receive():
            self._attempt(lambda: self._answer(session, length))
            self._give_back()
        os._exit(0)

    def refuse(self) -> NoReturn:
        self._send(exchange.Failure(UNCONFINED, "the kernel refuses the system-call filter"))
        os._exit(1)

    def _attempt(self, work: Callable[[], Session | None]) -> Session | None:
        """The result; None after an error, which is reported."""
        try:
            return work()
        except MemoryError:
            failure = exchange.Failure("OutOfMemory", "the model ran out of memory; send a smaller input")
        except AmaasError as error:
            failure = exchange.Failure(_kind(error), str(error), getattr(error, "kind", ""))
        except Exception as error:  # of a model that answers what is no tensor, or text that is none
            failure = exchange.Failure("BadInput", f"the model's answer cannot be sent: {str(error)[:300]}")
        self._send(failure)
        return None

    def _answer(self, session: Session, length: int) -> None:
        run = exchange.read_message(self._area, REQUESTS, length, exchange.RUN)
        arrays = list(exchange.read_tensors(self._area, REQUESTS, length, run.feeds))
        feeds = {tensor.name: array for tensor, array in zip(run.feeds, arrays, strict=True)}
        outputs = session.run(run.outputs, feeds)
        names = run.outputs or [spec.name for spec in session.outputs]
        _count(names, outputs)
        tensors, contents = exchange.describe(zip(names, outputs, strict=True))
        self._send(exchange.Answer(tensors), contents)

    def _send(self, message: exchange.Reply, contents: list[np.ndarray | bytes] | None = None) -> None:
        length = exchange.write(self._area, ANSWERS, message, contents or ())
        os.write(self._channel, length.to_bytes(WORD, "little"))

    def _receive(self) -> int:
        """The length of the next message; 0 when the other side is gone."""
        return int.from_bytes(os.read(self._channel, WORD), "little")

    def _give_back(self) -> None:
        """Memory of a large call, which the next one need not have. The caller has the answer already."""
        if self.resident() > self._resident + SPARE:
            memory.trim()


def _kind(error: AmaasError) -> str:
    return next((name for name, kind in FAILURES.items() if type(error) is kind), "BadInput")


def _count(names: list[str], outputs: list[np.ndarray]) -> None:
    """Raises TooLarge for outputs that are more than there is room for, before anything is made of them."""
    for name, array in zip(names, outputs, strict=True):
        if not isinstance(array, np.ndarray):
            raise BadInput(f"output {name!r} is no tensor; ask for other outputs")
    size = sum(_size(array) for array in outputs)
    if size > ANSWER_BYTES:
        raise TooLarge(
            f"the model's answer takes {size:,} bytes, more than the {ANSWER_BYTES:,} that one call may; "
            "send fewer or smaller inputs, or ask for fewer outputs"
        )


def _size(array: np.ndarray) -> int:
    return sum(5 + len(text) for text in array.reshape(-1)) if array.dtype.kind == "O" else int(array.nbytes)


def _prepare(order: Order, model: mmap.mmap, data: list[mmap.mmap]) -> Callable[[], Session]:
    """What loads the file; what that imports is imported here, as the sandbox can open no file."""
    if (decoding := order.decoding) is not None:
        from shared.runtime import hearer, reading  # of few models, and no part of the zygote; as the next one

        open_ = hearer.load if decoding.hears else reading.load
        files = dict(zip(decoding.files, data, strict=True))

        def load() -> Session:
            session = open_(bytes(model), files, decoding, order.threads)
            memory.keep()
            return session

        return load
    if order.cutting is not None and order.cutting.plain:
        from shared.runtime import language

        language.warm_up()
        return lambda: language.load(bytes(model))
    if (cutting := order.cutting) is not None:
        from shared.runtime import tokens  # 30 ms

        return lambda: tokens.load(bytes(model), cutting)
    return lambda: _load(model, order)


def _load(model: mmap.mmap, order: Order) -> Session:
    # the weights as they are given, and as kernels have them; half of it is given back where they are not packed
    with memory.large_pages(min(2 * len(model), order.memory // 2)):
        return onnx.load_memory(model, order.threads, order.mapped)


def main(order: Order, channel: int, area_file: int, files: list[int], zygote: int) -> NoReturn:
    """In the forked process. files: the model's, and those of its weights. zygote: the pid of who forked it."""
    sandbox.die_with_parent()
    if os.getppid() != zygote:
        os._exit(1)  # it died in between
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")  # of all processes of a function, this one is to die for lack of memory
    area = mmap.mmap(area_file, AREA_BYTES)
    model, *data = (mmap.mmap(file, 0, access=mmap.ACCESS_READ) for file in files)
    for descriptor in (area_file, *files):
        os.close(descriptor)
    load = _prepare(order, model, data)
    runner = Runner(channel, area)
    sandbox.limit_resources(runner.address_space() + order.memory, threads=order.threads > 1)
    filtered = sandbox.filter_system_calls()
    if order.filtered and not filtered:
        runner.refuse()
    try:
        runner.serve(load, filtered)
    finally:
        sys.stderr = None
        os._exit(1)
