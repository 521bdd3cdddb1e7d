"""The service behind HTTP, in this process: the functions' own handlers as the gateway calls them, and storage.

Only the checks of an upload are stood in for, because they take seconds: a model that begins with "bad" is rejected,
and any other is a version. A test can order trouble: refusals, slow answers, dropped connections.
"""

from __future__ import annotations

import base64
import json
import re
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from functions.batch import app as batch
from functions.feedback import app as feedback
from functions.figures import app as figures
from functions.generate import app as generate
from functions.inference import app as inference
from functions.logs import app as logs
from functions.registry import app as registry
from functions.tokens import app as tokens_app
from functions.training import app as training
from functions.upload import app as upload
from shared.access import context as contexts
from shared.access import tokens
from shared.access.authenticate import authenticate
from shared.entry.streamed import Streamed
from shared.errors import Unauthenticated
from shared.registry.log import Log
from shared.storage.memory import MemoryStore
from shared.uploads import states
from tests.client.storage import Storage
from tests.logged.memory import MemoryLogs
from tests.registry.conftest import push
from tests.support import load_event

UNKNOWN_TOKEN = {"error": "no valid token: send the header Authorization: Bearer amaas_..."}
FUNCTIONS: list[tuple[str, Callable[..., Any]]] = [
    (r"/v1/(chat/completions|completions|audio/.*|models(/.*)?)|/v2/models/.*/generate(_stream)?", generate.handler),
    (r"/v2(/.*)?|/v1/.*|.*/(predict|explain)", inference.handler),
    (r".*/uploads|/uploads/[^/]+", upload.handler),
    (r"/tokens.*", tokens_app.handler),
    (r"/logs", logs.handler),
    (r"/batch(/.*)?|/models/[^/]+/batch", batch.handler),
    (r"/training-jobs.*", training.handler),
    (r"/models/[^/]+/feedback", feedback.handler),
    (r"/models/[^/]+/(cost|aliases/[^/]+/release)|/costs", figures.handler),
    (r"/models.*", registry.handler),
]


@dataclass
class Call:
    """A request as it arrived. headers: lower-case names."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body or b"{}")


@dataclass
class Trouble:
    """A wrong answer, `times` times. method, path: regular expressions. status 0 drops the connection."""

    method: str
    path: str
    status: int
    body: bytes = b'{"error": "not now"}'
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 1
    delay: float = 0  # seconds
    after: bool = False  # carry the request out, then lose its answer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one packet: two would wait for a delayed acknowledgement
    server: Service

    def _handle(self) -> None:
        at = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        path = at.path.removeprefix("/v1")
        call = Call(self.command, path, dict(parse_qsl(at.query, keep_blank_values=True)), headers, body)
        with self.server.lock:
            self.server.calls.append(call)
            trouble = self._trouble(call)
        if trouble and not trouble.after:
            time.sleep(trouble.delay)
            self._reply(trouble.status, trouble.headers, trouble.body)
            return
        try:
            status, answer_headers, content = self.server.answer(call)
        except Exception as error:  # in a thread of its own, it would only be seen as a lost connection
            status, answer_headers, content = 500, {}, json.dumps({"error": repr(error)}).encode()
        if isinstance(content, Streamed):
            self._stream(content, cut=trouble is not None)
            return
        self._reply(0 if trouble else status, answer_headers, content)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _handle

    def _trouble(self, call: Call) -> Trouble | None:
        for trouble in self.server.trouble:
            if trouble.times and re.match(trouble.method, call.method) and re.search(trouble.path, self.path):
                trouble.times -= 1
                return trouble
        return None

    def _reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
        if status == 0:
            self.close_connection = True
            return
        with suppress(ConnectionError):  # the client may have ended: some tests interrupt it
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def _stream(self, answer: Streamed, *, cut: bool) -> None:
        """Each part as it is made. cut: only the first one arrives. A client that leaves ends the making of parts."""
        self.close_connection = True
        try:
            self.send_response(answer.status)
            for name, value in {**answer.headers, "Transfer-Encoding": "chunked", "Connection": "close"}.items():
                self.send_header(name, value)
            self.end_headers()
            for part in answer.parts:
                self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
                self.wfile.flush()
                if cut:
                    return
            self.wfile.write(b"0\r\n\r\n")
        except Exception:  # the client has left, or the handler has logged why the answer ends here
            return
        finally:
            answer.close()

    def log_message(self, format: str, *args: Any) -> None: ...


class Service(ThreadingHTTPServer):
    """Serves the functions below /v1, and storage below /storage, until closed.

    tokens: of two administrators, by name. checks: False, and uploads stay in the state checking.
    """

    daemon_threads = True

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.store, self.log = store, Log(store)
        self.storage = Storage(store, f"{self.url}/storage", self._arrived)
        self.tokens = {name: tokens.create(store, name, ["admin"])[1] for name in ("ann", "bob")}
        self.logs = MemoryLogs()
        self.calls: list[Call] = []
        self.trouble: list[Trouble] = []
        self.checks = True
        self.lock = Lock()
        Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def api_url(self) -> str:
        return f"{self.url}/v1"

    def close(self) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has left is no news; what else goes wrong is printed, and fails tests of standard error."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    def received(self, method: str, path: str) -> list[Call]:
        """The requests of a method whose paths contain a regular expression."""
        return [call for call in self.calls if call.method == method and re.search(path, call.path)]

    def answer(self, call: Call) -> tuple[int, dict[str, str], bytes | Streamed]:
        if call.path.startswith("/storage/"):
            return self.storage.answer(call.method, call.path.removeprefix("/storage/"), call)
        try:
            caller = authenticate(self.store, call.headers.get("authorization"))
        except Unauthenticated:
            return 401, {"Content-Type": "application/json"}, json.dumps(UNKNOWN_TOKEN).encode()
        handler = next(handler for pattern, handler in FUNCTIONS if re.fullmatch(pattern, call.path))
        event = load_event("apigateway_proxy")
        event |= {"httpMethod": call.method, "path": call.path, "queryStringParameters": call.query or None}
        event |= {"headers": call.headers, "body": base64.b64encode(call.body).decode(), "isBase64Encoded": True}
        event["requestContext"]["authorizer"] = {"principalId": caller.id, **contexts.encode(caller)}
        reply = handler(event, None)
        if isinstance(reply, Streamed):
            return reply.status, reply.headers, reply
        body = base64.b64decode(reply["body"]) if reply["isBase64Encoded"] else reply["body"].encode()
        return reply["statusCode"], reply["headers"], body

    def sent_files(self) -> dict[str, bytes]:
        """The files of all uploads, by name."""
        keys = [info.key for info in self.store.list_page("uploads/").objects]
        return {key.rpartition("/")[2]: self.store.get(key).body for key in keys if "/files/" in key}

    def _arrived(self, key: str) -> None:
        """In the place of the ingest function."""
        if not key.startswith("uploads/"):
            return
        session = states.read_session(self.store, key.split("/")[1])
        if states.missing_files(self.store, session):
            return
        states.advance(self.store, session, "checking")
        if not self.checks:
            return
        if self.store.get(session.keys["model.onnx"]).body.startswith(b"bad"):
            reason = "this is not an ONNX model: export it again"
            states.advance(self.store, session, "rejected", code="not_onnx", reason=reason)
        else:
            push(self.log, session.model, upload=key.split("/")[1])
            states.advance(self.store, session, "registered", version=self.log.read(session.model).latest)
