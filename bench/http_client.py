"""A keep-alive HTTP client that does as little as it can, so that it is not the client that is measured.

It acknowledges at once what it receives. Uvicorn with several workers (MLflow's server) leaves Nagle's algorithm on and
sends head and body apart, so that each answer to a usual client waits 40 ms for the acknowledgement of its head: that
is no work of the registry's, and not counted here.
"""

from __future__ import annotations

import socket


class Connection:
    """One connection to a server on the loopback interface, for one thread."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._host = f"127.0.0.1:{port}"

    def ask(self, method: str, url: str, body: bytes = b"") -> tuple[int, bytes]:
        """The status and the body of the answer, which must come with its length."""
        head = f"{method} {url} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\n"
        self._socket.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._more()
        header, _, content = received.partition(b"\r\n\r\n")
        lines = header.decode("latin-1").lower().split("\r\n")
        length = next(int(line.partition(":")[2]) for line in lines if line.startswith("content-length:"))
        parts, missing = [content], length - len(content)
        while missing > 0:
            parts.append(self._more())
            missing -= len(parts[-1])
        return int(lines[0].split()[1]), b"".join(parts)

    def close(self) -> None:
        self._socket.close()

    def _more(self) -> bytes:
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)  # holds for a while only
        received = self._socket.recv(1 << 16)
        if not received:
            raise ConnectionError("the server closed the connection")
        return received
