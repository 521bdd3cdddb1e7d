"""This process's side of the zygote: it is started before it is needed, and anew when it dies.

Without NumPy: what a cold start waits for longest is that process's imports, so it is started before all of ours.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

import msgspec
from msgspec import Struct

import shared

ZYGOTE = "shared.runtime.zygote"  # the module that is executed; it is named here for the build, too
# Variables for the interpreter, the libraries and the C library's memory. No secrets, and nothing of the deployment.
INHERITED = ("LD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR", "PYTHONDONTWRITEBYTECODE")
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
MOST_FILES = 64  # of one model's weights
STARTING = 30.0  # seconds for the zygote to answer: its imports, on a machine that is busy


class Cutting(Struct, frozen=True, array_like=True):
    """How a tokenizer makes rows of texts, in tokens, where that is not as its own file says.

    longest: what is longer is cut; None: as the file has it. fixed: the length of all rows, where the model has one.
    whole: rows are as long as `longest`, or as the longest text of a call; None: as the file has it. plain: a
    decoder's, one text at a time, with its chats and grammars: see language.Language.
    """

    longest: int | None = None
    fixed: int | None = None
    whole: bool | None = None
    plain: bool = False


class Decoding(Struct, frozen=True, array_like=True):
    """That the file is a decoder's graph. files: the names that it has for those with its weights, whose descriptors
    come behind its own. heads, width, limit: see decoder.Decoder; heads and width both or neither. hears: it is one of
    speech, with an encoder among its files: see hearer.Hearer.
    """

    files: tuple[str, ...] = ()
    heads: int | None = None
    width: int | None = None
    limit: int | None = None
    hears: bool = False


class Order(Struct, frozen=True, array_like=True, tag=1):
    """Of the zygote: a new runner. Descriptors come with it: its socket, the area, the file that it loads.

    mapped: weights may stay in the model's file. memory: bytes of address space for it, beside model and area.
    filtered: do without a model rather than without the system-call filter. cutting: the file is a tokenizer, and this
    is how it cuts; None: it is a model. decoding: of a decoder; None: it is another model.
    """

    threads: int
    mapped: bool
    memory: int
    filtered: bool
    cutting: Cutting | None = None
    decoding: Decoding | None = None


class End(Struct, frozen=True, array_like=True, tag=2):
    """Of the zygote: end a runner, and tell its exit status."""

    pid: int


class Zygote:
    """The process without secrets that runners are forked from. Safe to share between threads."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(STARTING)
        null = [(os.POSIX_SPAWN_OPEN, n, "/dev/null", os.O_RDWR, 0) for n in range(3)]
        # without typing_extensions, of which msgspec needs nothing: 15 ms of each start
        code = f"import sys; sys.modules['typing_extensions'] = None; from {ZYGOTE} import main; main()"
        command = [sys.executable, "-s", "-S", "-c", code]
        with theirs:
            place = (os.POSIX_SPAWN_DUP2, theirs.fileno(), 3)
            self.pid = os.posix_spawn(sys.executable, command, environment(), file_actions=[place, *null])
        self._channel = ours
        self._lock = threading.Lock()
        self._left: deque[int] = deque()

    def fork(self, order: Order, channel: socket.socket, area: int, files: Sequence[int]) -> int:
        """The pid of a new runner. files: the model's, then those of its weights. Raises OSError if it is dead."""
        body = msgspec.msgpack.encode(order)
        with self._lock:
            while self._left:
                self._end(self._left.popleft())
            socket.send_fds(self._channel, [body], [channel.fileno(), area, *files])
            return self._receive()

    def end(self, pid: int) -> int:
        """Kill a runner, if it is not dead already; its exit status. Raises OSError when the zygote is dead."""
        with self._lock:
            return self._end(pid)

    def leave(self, pid: int) -> None:
        """A runner that was ended, and is waited for some time later: the garbage collector may call this."""
        self._left.append(pid)

    def _end(self, pid: int) -> int:
        self._channel.send(msgspec.msgpack.encode(End(pid)))
        return self._receive()

    def _receive(self) -> int:
        body = self._channel.recv(64)
        if not body:
            raise BrokenPipeError("the zygote is dead")
        return msgspec.msgpack.decode(body, type=int)

    def close(self) -> None:
        """End it, and all its runners."""
        self._channel.close()
        with suppress(OSError):
            os.kill(self.pid, signal.SIGKILL)
        with suppress(OSError):
            os.waitpid(self.pid, 0)


_zygotes: list[Zygote] = []
_starting = threading.Lock()


def zygote() -> Zygote:
    """This process's zygote. It starts when first asked for, and imports while this process goes on."""
    with _starting:
        if not _zygotes:
            _zygotes.append(Zygote())
        return _zygotes[0]


def replace(dead: Zygote) -> None:
    """The next one that asks gets another."""
    with _starting:
        if dead in _zygotes:
            _zygotes.remove(dead)
            dead.close()


def environment() -> dict[str, str]:
    """Of the zygote: what the interpreter needs to start, and to import what this process imports."""
    home = os.path.dirname(os.path.abspath(shared.__path__[0]))
    paths = dict.fromkeys([home, *(os.path.abspath(entry) for entry in sys.path if entry)])
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return inherited | ONE_THREAD | {"PYTHONPATH": os.pathsep.join(paths)}
