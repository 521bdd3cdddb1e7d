"""The zygote: the process that runners are forked from. It has Python, NumPy and ONNX Runtime, and nothing else.

It is executed anew with an environment of a few harmless variables, so that nothing of the process that started it is
in its memory: no credentials, no caller's data, no open file. It reads no model, and messages only of who started it.

Of a socket of datagrams, its descriptor 3: an Order, with the descriptors of a runner, is answered with the runner's
pid; an End with its exit status. When the socket is closed, all runners are killed.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import socket
from contextlib import suppress

import msgspec

from shared.runtime import runner
from shared.runtime.zygotes import MOST_FILES, End, Order

SOCKET = 3
LC_ALL_MASK = 0x1FBF
DESCRIPTORS = 3 + MOST_FILES  # of a runner: its socket, the area, the model, and files of its weights
MESSAGE = 64 << 10  # bytes: names of files are the largest part
MESSAGES: msgspec.msgpack.Decoder[Order | End] = msgspec.msgpack.Decoder(Order | End)


def main() -> None:
    for name in os.listdir("/proc/self/fd"):
        if int(name) > SOCKET:
            with suppress(OSError):  # the listing's own
                os.close(int(name))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: who started this one decides
    channel = socket.socket(fileno=SOCKET)
    _leave_files()
    gc.collect()
    gc.freeze()  # what is there by now is shared with all runners, and not written to
    runners: set[int] = set()
    try:
        while _serve(channel, runners):
            pass
    finally:
        for pid in runners:
            os.kill(pid, signal.SIGKILL)
    os._exit(0)


def _leave_files() -> None:
    """What would open a file in a runner is loaded; a relative path leads nowhere."""
    ctypes.CDLL(None).newlocale(LC_ALL_MASK, b"C.UTF-8", None)  # the C library keeps it: StringNormalizer asks for it
    folder = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"amaas-{os.urandom(8).hex()}")  # noqa: S108 - a new name
    os.mkdir(folder, 0o700)
    os.chdir(folder)
    os.rmdir(folder)


def _serve(channel: socket.socket, runners: set[int]) -> bool:
    """Answer one message. False when there will be no more."""
    body, descriptors, _, _ = socket.recv_fds(channel, MESSAGE, DESCRIPTORS)
    if not body:
        return False
    message = MESSAGES.decode(body)
    if isinstance(message, End):
        channel.send(msgspec.msgpack.encode(_end(message.pid, runners)))
        return True
    zygote = os.getpid()
    pid = os.fork()
    if pid == 0:
        channel.close()
        own, area, *files = descriptors
        runner.main(message, own, area, files, zygote)
    runners.add(pid)
    for descriptor in descriptors:
        os.close(descriptor)
    channel.send(msgspec.msgpack.encode(pid))
    return True


def _end(pid: int, runners: set[int]) -> int:
    """Kill a runner, if it is not dead yet. Its exit status as of os.waitstatus_to_exitcode: -N for signal N."""
    if pid not in runners:
        raise ValueError(f"{pid} is no runner")
    os.kill(pid, signal.SIGKILL)  # of a process that is not waited for yet: no other can have its number
    _, status = os.waitpid(pid, 0)
    runners.discard(pid)
    return os.waitstatus_to_exitcode(status)
