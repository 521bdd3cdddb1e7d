"""Requests to Lambda's Runtime API, with sockets: importing http.client takes 25 ms of each cold start.

Each is a connection of its own, as the address is in the same machine.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from typing import BinaryIO, NamedTuple

API = "/2018-06-01/runtime"


class Reply(NamedTuple):
    """headers: names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Api:
    """Requests to the Runtime API. All raise OSError."""

    def __init__(self, address: str) -> None:
        self._address = address

    def ask(self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Reply:
        """One request with its whole body. Without a limit of time: the next call may be hours away."""
        lines = {**(headers or {}), "Content-Length": str(len(body))}
        with self._connect() as connection:
            connection.sendall(self._head(method, path, lines) + body)
            return _reply(connection)

    def upload(self, path: str, headers: Mapping[str, str]) -> Upload:
        connection = self._connect()
        connection.sendall(self._head("POST", path, headers))
        return Upload(connection)

    def _connect(self) -> socket.socket:
        host, _, port = self._address.partition(":")
        connection = socket.create_connection((host, int(port or 80)))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # small parts are not kept back
        return connection

    def _head(self, method: str, path: str, headers: Mapping[str, str]) -> bytes:
        lines = [f"{method} {API}{path} HTTP/1.1", f"Host: {self._address}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")


class Upload:
    """A body in chunks, each sent as it comes. What is sent raises OSError when nobody takes it any more."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def send(self, part: bytes) -> None:
        try:
            self._connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            self._connection.sendall(b"%x\r\n%b\r\n" % (len(part), part))
        else:  # the end of the connection, or a reply before all was sent: either way it is not read any more
            raise ConnectionError("the answer is not read any more")

    def end(self, trailers: Mapping[str, str]) -> Reply:
        lines = "".join(f"{name}: {value}\r\n" for name, value in trailers.items())
        self._connection.sendall(f"0\r\n{lines}\r\n".encode("latin-1", "replace"))
        return _reply(self._connection)

    def close(self) -> None:
        self._connection.close()


def _reply(connection: socket.socket) -> Reply:
    with connection.makefile("rb") as file:
        status = file.readline().split()
        headers: dict[str, str] = {}
        while line := file.readline().strip():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        if "chunked" in headers.get("transfer-encoding", "").lower():
            body = b"".join(_chunks(file))
        else:
            body = file.read(int(headers.get("content-length", -1)))
    if len(status) < 2 or len(body) < int(headers.get("content-length", 0)):
        raise OSError(f"the Runtime API's reply is cut off: {status} {headers}")
    return Reply(int(status[1]), headers, body)


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while True:
        try:
            size = int(file.readline(), 16)
        except ValueError as error:
            raise OSError("the Runtime API's reply is cut off") from error
        if size == 0:
            return
        yield file.read(size)
        file.readline()
