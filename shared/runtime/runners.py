"""This process's side of the wall: the runners, one for each model behind it.

What an operator has to know of a runner that was ended is raised; who asked for it decides what comes next.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import select
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress

from shared.errors import AmaasError, OutOfTime, Unavailable
from shared.runtime import exchange
from shared.runtime.cores import SharedCore
from shared.runtime.exchange import AREA_BYTES, WORD, MiB
from shared.runtime.zygotes import Order, Zygote, replace, zygote

PAGE = os.sysconf("SC_PAGE_SIZE")
# Of the area, what stays resident after a call: more is of large calls, and given back.
KEPT = 16 * MiB
BLOCK = 512  # bytes, of st_blocks


class Crashed(AmaasError):
    """The model ended the process that ran it: an error of this call, and of no other. reason: the signal's name."""

    status = 503
    code = "crashed"

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class TimedOut(OutOfTime):
    """The model was not ready in time, and was ended. reason: "deadline"; None where it was another call's fault."""

    def __init__(self, message: str, reason: str | None = "deadline") -> None:
        super().__init__(message)
        self.reason = reason


class Ended(Exception):
    """A runner is not there any more. status: of its exit, -N for signal N; None where nobody knows."""

    def __init__(self, status: int | None) -> None:
        super().__init__(status)
        self.status = status

    @property
    def reason(self) -> str:
        with suppress(ValueError):
            return signal.Signals(-(self.status or 0)).name
        return f"exit status {self.status}"


class Runner:
    """One runner. Of one thread at a time."""

    def __init__(self, order: Order, files: Sequence[int]) -> None:
        """files: descriptors of the model's file, and of its weights'. Raises Unavailable when none can be started."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        file = os.memfd_create("amaas", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(file, AREA_BYTES)
            # a runner that could make it shorter could end this process by what it reads there
            fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
            self.area = mmap.mmap(file, AREA_BYTES)
            with theirs:
                self._zygote, self.pid = _fork(order, theirs, file, files)
        except OSError as error:
            ours.close()
            os.close(file)
            raise Unavailable(f"no process can be started for the model: {error}; try again") from error
        self._file: int | None = file
        self._channel = ours
        self._poll = select.poll()
        self._poll.register(ours, select.POLLIN)
        self._core = SharedCore(self.pid)
        self._process = _watched(self.pid)

    def resident(self) -> int:
        """Bytes of memory of its own, as the kernel counts them: without what it has of the zygote, or mapped.

        And of the area, which is there when it is dead, too.
        """
        try:
            return self._in_area() + max(0, _anonymous(self.pid) - _anonymous(self._zygote.pid))
        except OSError:  # it is dead
            return self._in_area()

    def _in_area(self) -> int:
        """Bytes of memory, whoever wrote to it."""
        return 0 if self._file is None else os.fstat(self._file).st_blocks * BLOCK

    @property
    def is_idle(self) -> bool:
        """Whether it lives, and has said nothing that it was not asked for."""
        return not self._poll.poll(0)

    def ask(self, length: int, seconds: float | None) -> exchange.Reply:
        """Tell that there is a request of that length; its answer. Raises what `receive` raises."""
        with self._core.sharing():
            self._send(length)
            return self.receive(seconds)

    def _send(self, length: int) -> None:
        try:
            # a runner that reads nothing is not waited for
            self._channel.send(length.to_bytes(WORD, "little"), socket.MSG_DONTWAIT)
        except BlockingIOError as error:
            raise exchange.Unreadable("requests are not read") from error
        except OSError as error:
            raise Ended(self.end()) from error

    def receive(self, seconds: float | None) -> exchange.Reply:
        """What it says next. Raises Ended, TimeoutError after which there is no runner any more, Unreadable."""
        if not self._poll.poll(None if seconds is None else max(0, seconds * 1000)):
            self.end()
            raise TimeoutError
        try:
            word = self._channel.recv(WORD)
        except OSError:
            word = b""
        if len(word) != WORD:
            raise Ended(self.end())
        length = int.from_bytes(word, "little")
        reply: exchange.Reply = exchange.read_message(self.area, exchange.ANSWERS, length, exchange.REPLY)
        self.length = length
        return reply

    def give_back(self) -> None:
        """Return the area's memory to the system after a call that took more than usual, or where the runner did."""
        if self._in_area() > KEPT:
            self.area.madvise(mmap.MADV_REMOVE)

    def end(self) -> int | None:
        """Kill it, if it is not dead already; its exit status. None where the zygote is dead, too."""
        self._close()
        try:
            return self._zygote.end(self.pid)
        except OSError:
            replace(self._zygote)
            return None

    def leave(self) -> None:
        """Have it end, without waiting for it."""
        with suppress(OSError):
            if self._process is not None:
                signal.pidfd_send_signal(self._process, signal.SIGKILL)
        self._close()
        self._zygote.leave(self.pid)

    def _close(self) -> None:
        """At once, as the errors of a call refer to it for longer than it is of use."""
        self._channel.close()
        with suppress(BufferError):  # a tensor that is being read
            self.area.close()
        for descriptor in (self._file, self._process):
            if descriptor is not None:
                os.close(descriptor)
        self._file = self._process = None


def _watched(pid: int) -> int | None:
    """A descriptor of a process, which never means another one; None where the kernel has none (before 5.3)."""
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None


def _anonymous(pid: int) -> int:
    with open(f"/proc/{pid}/statm", "rb") as file:
        _, pages, shared, *_ = file.read().split()
    return (int(pages) - int(shared)) * PAGE


def _fork(order: Order, channel: socket.socket, area: int, files: Sequence[int]) -> tuple[Zygote, int]:
    """With the present zygote; with a new one, where that is dead."""
    for _ in range(2):
        present = zygote()
        try:
            return present, present.fork(order, channel, area, files)
        except OSError:
            replace(present)
    raise BrokenPipeError("the process that others are forked from does not start")
