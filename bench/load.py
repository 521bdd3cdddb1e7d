"""Calls over HTTP: a client that does as little as it can, and turns of load of several clients.

The client acknowledges at once what it receives: a server with Nagle's algorithm on that sends head and body apart
would wait 40 ms for that, which is no work of its own, and not counted here.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.servers import HOST


class Answer(NamedTuple):
    """headers: with names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def written(method: str, path: str, headers: Mapping[str, str], body: bytes, port: int) -> bytes:
    """A request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", f"host: {HOST}:{port}", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "\r\n"]).encode() + body


class Connection:
    """One keep-alive connection to a server on the loopback interface, for one thread."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((HOST, port), timeout=120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def exchange(self, request: bytes) -> Answer:
        """The answer to a written request; it must come with its length, or in chunks."""
        self._socket.sendall(request)
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._more()
        head, _, content = received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if "content-length" in headers:
            body = self._counted(content, int(headers["content-length"]))
        else:
            body = self._chunked(content)
        return Answer(int(first.split()[1]), headers, body)

    def close(self) -> None:
        self._socket.close()

    def _counted(self, content: bytes, length: int) -> bytes:
        parts, missing = [content], length - len(content)
        while missing > 0:
            parts.append(self._more())
            missing -= len(parts[-1])
        return b"".join(parts)

    def _chunked(self, content: bytes) -> bytes:
        while not content.endswith(b"0\r\n\r\n"):
            content += self._more()
        parts = []
        while True:
            size, _, content = content.partition(b"\r\n")
            length = int(size, 16)
            if not length:
                return b"".join(parts)
            parts.append(content[:length])
            content = content[length + 2 :]

    def _more(self) -> bytes:
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)  # holds for a while only
        received = self._socket.recv(1 << 18)
        if not received:
            raise ConnectionError("the server closed the connection")
        return received


@dataclass
class Turn:
    """What came of a turn. seconds: from the first call to the last answer. latencies: seconds, of answers alone."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    errors: int = 0
    problem: str = ""

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds if self.seconds else 0.0


def turn(clients: list[Callable[[], None]], seconds: float) -> Turn:
    """Let the clients call at the same time, each again and again until the time is over."""
    done = Turn()
    gate = threading.Barrier(len(clients) + 1)
    lock = threading.Lock()
    ends: list[float] = []

    def work(client: Callable[[], None]) -> None:
        latencies, errors, problem = [], 0, ""
        gate.wait()
        started = end = time.perf_counter()
        while end - started < seconds:
            before = time.perf_counter()
            try:
                client()
            except Exception as error:  # an answer that is no success is counted, never timed as one
                errors, problem = errors + 1, f"{type(error).__name__}: {error}"[:300]
                end = time.perf_counter()
            else:
                end = time.perf_counter()
                latencies.append(end - before)
        with lock:
            done.latencies += latencies
            done.errors += errors
            done.problem = problem or done.problem
            ends.append(end)

    threads = [threading.Thread(target=work, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    gate.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    done.seconds = max(ends) - started
    return done
