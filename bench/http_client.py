"""A keep-alive HTTP client that does as little as it can, so that it is not the client that is measured.

It acknowledges at once what it receives. Uvicorn with several workers (MLflow's server) leaves Nagle's algorithm on and
sends head and body apart, so that each answer to a usual client waits 40 ms for the acknowledgement of its head: that
is no work of the registry's, and not counted here.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import NamedTuple


class Answer(NamedTuple):
    """headers: with names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def written(method: str, path: str, headers: Mapping[str, str], body: bytes, port: int) -> bytes:
    """A request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", f"host: 127.0.0.1:{port}", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "\r\n"]).encode() + body


class Connection:
    """One connection to a server on the loopback interface, for one thread."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._port = port

    def ask(self, method: str, url: str, body: bytes = b"") -> tuple[int, bytes]:
        """The status and the body of the answer to a JSON request."""
        answer = self.exchange(written(method, url, {"content-type": "application/json"}, body, self._port))
        return answer.status, answer.body

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
