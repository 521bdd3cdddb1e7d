"""Puts a Fake on a port of the loopback interface, and makes the trouble that a test asked for."""

from __future__ import annotations

import json
import re
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.client.fake_service import Call, Fake, Refusal, Trouble


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one packet: two would wait for a delayed acknowledgement
    server: Server

    def _handle(self) -> None:
        fake, at = self.server.fake, urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(at.query).items()}
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        call = Call(self.command, at.path.removeprefix("/v1"), query, headers, body)
        with fake.lock:
            fake.calls.append(call)
            trouble = self._trouble(call)
        if trouble and not trouble.after:
            time.sleep(trouble.delay)
            self._reply(trouble.status, trouble.body, trouble.headers)
        else:
            self._reply(*self._right(call), lost=trouble is not None)

    do_GET = do_PUT = do_POST = do_DELETE = _handle

    def _trouble(self, call: Call) -> Trouble | None:
        for trouble in self.server.fake.trouble:
            if trouble.times and trouble.method == call.method and re.search(trouble.path, self.path):
                trouble.times -= 1
                return trouble
        return None

    def _right(self, call: Call) -> tuple[int, bytes, dict[str, str]]:
        try:
            with self.server.fake.lock:
                if call.path.startswith("/storage/"):
                    status, headers = self.server.fake.storage(call)
                    return status, b"", headers
                status, answer = self.server.fake.answer(call)
                return status, json.dumps(answer).encode(), {}
        except Refusal as refused:
            storage = call.path.startswith("/storage/")
            error = refused.message if storage else json.dumps({"error": refused.message})
            return refused.status, error.encode(), {}

    def _reply(self, status: int, body: bytes, headers: dict[str, str], lost: bool = False) -> None:
        if status == 0 or lost:
            self.close_connection = True
            return
        with suppress(ConnectionError):  # the client may be gone: some tests interrupt it
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Serves a Fake below /v1 until closed."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.fake = Fake(url=f"http://127.0.0.1:{self.server_port}")
        Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def api_url(self) -> str:
        return f"{self.fake.url}/v1"

    def close(self) -> None:
        self.shutdown()
        self.server_close()
