"""A bad network between a client and a server on the loopback interface: each request passes, or meets some trouble."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

SLOW_DOWN = (
    b'<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>'
)


class Proxy:
    """mode: of new connections and requests. pass; refuse: reset at once; stall: take everything, answer nothing;
    slow_down, internal_error: an answer of S3's; truncate: the answer ends after `cut` bytes of the stream; half_close:
    the answer ends before it begins, and nothing is closed; delay: passes after `delay` seconds.

    times: how often a mode other than `pass` is applied, None for always. share: of requests, by chance, from a seed.
    hits: how often it was.
    """

    def __init__(self, target: str) -> None:
        address = urlsplit(target)
        self._target = (address.hostname or "", address.port or 80)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.mode, self.times, self.cut, self.hits = "pass", None, 400, 0
        self.delay = 2.0
        self._share, self._random = 1.0, random.Random(0)
        self.stalled = threading.Event()
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def trouble(self, mode: str, times: int | None = None, share: float = 1.0, seed: int = 0) -> None:
        """From now on; connections that clients hold open are closed, so that it is theirs, too."""
        with self._lock:
            self.mode, self.times, self.hits = mode, times, 0
            self._share, self._random = share, random.Random(seed)
            self.stalled.clear()
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._open.clear()

    def close(self) -> None:
        self.trouble("refuse")
        self._listener.close()

    def _next_mode(self) -> str:
        with self._lock:
            if self.mode == "pass" or (self.times is not None and self.hits >= self.times):
                return "pass"
            if self._share < 1 and self._random.random() >= self._share:
                return "pass"
            self.hits += 1
            return self.mode

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._open.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """One connection, a request at a time: each is read whole before it is passed on."""
        with contextlib.suppress(OSError, ValueError), client:
            reader = client.makefile("rb")
            while (request := _read_request(reader, client)) is not None:
                mode = self._next_mode()
                if mode == "refuse":
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return
                if mode == "stall":
                    self.stalled.set()
                    client.recv(1)  # until the client gives up
                    return
                if mode == "half_close":
                    client.shutdown(socket.SHUT_WR)
                    client.recv(1)  # until the client closes its half
                    return
                if mode == "delay":
                    time.sleep(self.delay)
                if mode in ("slow_down", "internal_error"):
                    status = b"503 Slow Down" if mode == "slow_down" else b"500 Internal Server Error"
                    head = b"HTTP/1.1 %b\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n"
                    client.sendall(head % (status, len(SLOW_DOWN)) + SLOW_DOWN)
                    continue
                if not self._pass_on(request, client, self.cut if mode == "truncate" else None):
                    return

    def _pass_on(self, request: bytes, client: socket.socket, cut: int | None) -> bool:
        """Whether the connection may be used again: a connection of its own goes to the server for each request."""
        with socket.create_connection(self._target) as server:
            server.sendall(request)
            sent = 0
            while data := server.recv(65536):
                if cut is not None and sent + len(data) > cut:
                    client.sendall(data[: max(cut - sent, 0)])
                    return False
                client.sendall(data)
                sent += len(data)
        return False


def _read_request(reader: object, client: socket.socket) -> bytes | None:
    """The bytes of a request, to be answered on a connection that the server closes; None at the end."""
    lines: list[bytes] = []
    length = 0
    while True:
        line: bytes = reader.readline()  # type: ignore[attr-defined]
        if not line:
            return None
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
        if name.lower() == b"expect":
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if name.lower() in (b"connection", b"expect"):
            continue
        if line == b"\r\n":
            lines += [b"Connection: close\r\n", line]
            return b"".join(lines) + reader.read(length)  # type: ignore[attr-defined]
        lines.append(line)


@contextmanager
def between(target: str) -> Iterator[Proxy]:
    proxy = Proxy(target)
    try:
        yield proxy
    finally:
        proxy.close()
