"""A server of Lambda's Runtime API for tests, which records what a client sends to the byte, and a loop at it."""

from __future__ import annotations

import json
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.servers import ROOT

START = ROOT / "shared" / "entry" / "runtime_loop" / "start"
PATIENCE = 30


@dataclass
class Post:
    """One request as it came. marks: (time, number of bytes) of each piece that was received."""

    path: str
    headers: dict[str, str]
    body: bytes
    marks: list[tuple[float, int]] = field(default_factory=list)

    def json(self) -> Any:
        return json.loads(self.body)

    def chunks(self) -> tuple[list[bytes], dict[str, str]]:
        """Chunks of the body and its trailers. Raises AssertionError for what is not in the form of RFC 9112."""
        chunks, rest = [], self.body
        while True:
            size, _, rest = rest.partition(b"\r\n")
            number = int(size, 16)
            if number == 0:
                break
            chunks.append(rest[:number])
            assert rest[number : number + 2] == b"\r\n"
            rest = rest[number + 2 :]
        *lines, last, end = rest.decode().split("\r\n")
        assert (last, end) == ("", "") if lines else rest == b"\r\n"
        return chunks, dict(line.split(": ", 1) for line in lines)


class RuntimeApi:
    """GETs wait for `call` or `restore`; POSTs are put into `posts`.

    leave_after: bytes of a streamed body after which the connection is closed, as by a client that leaves; refuse: it
    is replied to instead, and stays open. status: of replies to POSTs. chunked: calls are given in chunks, as Lambda
    gives large ones. cut: only so much of a reply.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.posts: queue.Queue[Post] = queue.Queue()
        self.gets: list[str] = []
        self.leave_after: int | None = None
        self.refuse = False
        self.status = 202
        self.ended = threading.Event()
        self.chunked = False
        self.cut: int | None = None
        self.restored = threading.Event()
        self._calls: queue.Queue[tuple[dict[str, str], bytes]] = queue.Queue()
        self._number = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def call(self, event: Any, **headers: str) -> Post:
        """Give a call to the function; what it posts for it."""
        self.begin(event, **headers)
        return self.posts.get(timeout=PATIENCE)

    def begin(self, event: Any, **headers: str) -> str:
        self._number += 1
        name = f"call-{self._number}"
        lines = {
            "Lambda-Runtime-Aws-Request-Id": name,
            "Lambda-Runtime-Deadline-Ms": str(int(time.time() * 1000) + 30_000),
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:000000000000:function:f",
        }
        given = {key.replace("_", "-"): value for key, value in headers.items()}
        self._calls.put((lines | given, event if isinstance(event, bytes) else json.dumps(event).encode()))
        return name

    def close(self) -> None:
        self.ended.set()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb", buffering=0) as file:
            said = b""
            while b"\r\n\r\n" not in said:
                piece = file.read(1)
                if not piece:
                    return
                said += piece
            request, *lines = said.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
            method, path, _ = request.split(" ")
            headers = dict(line.split(": ", 1) for line in lines)
            if method == "GET":
                self._give(connection, path)
            else:
                self._take(connection, Post(path, headers, b""))

    def _give(self, connection: socket.socket, path: str) -> None:
        self.gets.append(path)
        lines: dict[str, str] = {}
        body = b""
        if path.endswith("/restore/next"):
            self.restored.wait(PATIENCE)
        else:
            lines, body = self._calls.get()
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        if self.chunked:
            pieces = [body[at : at + 1000] for at in range(0, len(body), 1000)]
            sent = b"".join(b"%X\r\n%b\r\n" % (len(piece), piece) for piece in [*pieces, b""])
            head += "Transfer-Encoding: chunked\r\n"
        else:
            sent = body
            head += f"Content-Length: {len(body)}\r\n"
        connection.sendall((f"HTTP/1.1 200 OK\r\n{head}\r\n".encode() + sent)[: self.cut])

    def _take(self, connection: socket.socket, post: Post) -> None:
        streamed = post.headers.get("Transfer-Encoding") == "chunked"
        length = int(post.headers.get("Content-Length", 0))
        while not (post.body.endswith(b"\r\n\r\n") and b"0\r\n" in post.body if streamed else len(post.body) >= length):
            piece = connection.recv(1 << 16)
            post.body += piece
            post.marks.append((time.monotonic(), len(piece)))
            left = streamed and self.leave_after is not None and len(post.body) >= self.leave_after
            if not piece or left:
                self.posts.put(post)
                if piece and self.refuse:
                    connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
                    self.ended.wait(PATIENCE)
                return
        self.posts.put(post)
        connection.sendall(f"HTTP/1.1 {self.status} Whatever\r\nContent-Length: 0\r\n\r\n".encode())


@dataclass
class Running:
    api: RuntimeApi
    process: subprocess.Popen[bytes]
    log: Path

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def end(self) -> int:
        """The exit status of a process that ends by itself."""
        return self.process.wait(PATIENCE)


@contextmanager
def running(folder: Path, source: str, handler: str = "fn.handler", **variables: str) -> Iterator[Running]:
    """A function under our loop, started as Lambda starts it: by the wrapper, with an interpreter."""
    (folder / "fn.py").write_text(source)
    (folder / "shared").symlink_to(ROOT / "shared")
    api, log = RuntimeApi(), folder / "log"
    environment = {
        "PATH": os.defpath,
        "LAMBDA_TASK_ROOT": str(folder),
        "LAMBDA_RUNTIME_DIR": str(folder / "runtime"),
        "AWS_LAMBDA_RUNTIME_API": api.address,
        "AWS_LAMBDA_FUNCTION_NAME": "f",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "RESPONSE_TRANSFER_MODE": "RESPONSE_STREAM",
        "_HANDLER": handler,
        **variables,
    }
    with log.open("wb") as out:
        command = [str(START), sys.executable, "bootstrap.py"]
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=out, close_fds=False)
    try:
        yield Running(api, process, log)
    finally:
        process.kill()
        process.wait()
        api.close()
