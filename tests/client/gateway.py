"""API Gateway in front of the control plane's own functions, and the command line run against it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from amaas.cli.models import main
from amaas.client import Client
from click.testing import CliRunner, Result

from functions.registry import app
from functions.training import app as training
from shared import metrics
from shared.registry.log import Log
from shared.storage.memory import MemoryStore
from tests.registry.conftest import push
from tests.support import load_event

Run = Callable[..., Result]


class Gateway(BaseHTTPRequestHandler):
    """The token is the caller's id. Loses `lost` replies on demand."""

    protocol_version = "HTTP/1.1"

    def _handle(self) -> None:
        at = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        caller = self.headers["Authorization"].removeprefix("Bearer ")
        event = load_event("apigateway_proxy")
        event |= {"httpMethod": self.command, "path": at.path, "queryStringParameters": dict(parse_qsl(at.query))}
        event |= {"headers": dict(self.headers), "body": base64.b64encode(body).decode(), "isBase64Encoded": True}
        event["requestContext"]["authorizer"] = {"scopes": "admin", "principalId": caller, "name": f"{caller}'s"}
        function = training if at.path.startswith("/training-jobs") else app
        reply = function.handler(event, None)
        if self.server.lost:  # type: ignore[attr-defined]  # set in the fixture
            self.server.lost -= 1  # type: ignore[attr-defined]  # as above
            self.close_connection = True
            return
        answer = reply["body"].encode()
        self.send_response(reply["statusCode"])
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _handle

    def log_message(self, *args: Any) -> None: ...


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    log = Log(MemoryStore())
    monkeypatch.setattr(app, "log", lambda: log)
    # the service's log lines would be in the command's output: both are this process
    monkeypatch.setattr(metrics, "event", lambda *line: None)
    push(log, "m", 3)
    return log


@pytest.fixture
def gateway(log: Log) -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    server.daemon_threads = True
    server.lost = 0  # type: ignore[attr-defined]  # how many replies to lose
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def client(gateway: ThreadingHTTPServer) -> Iterator[Client]:
    with Client(f"http://127.0.0.1:{gateway.server_port}", "ann") as client:
        yield client


@pytest.fixture
def amaas(gateway: ThreadingHTTPServer) -> Run:
    def run(*arguments: str, by: str = "ann", code: int = 0) -> Result:
        env = {"AMAAS_URL": f"http://127.0.0.1:{gateway.server_port}", "AMAAS_TOKEN": by, "COLUMNS": "200"}
        done = CliRunner(env=env).invoke(main, list(arguments), catch_exceptions=False)
        assert done.exit_code == code, done.output
        return done

    return run
