"""The registry function as the benchmark calls it: with API Gateway's events, in this process or behind plain HTTP.

`python -m bench.gateway PORT [--processes N] [--bucket NAME] [--key FILE]` serves it on the loopback interface: on the
bucket of the S3 server that the environment names, else on a store in memory, of one process alone.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import socket
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from shared.entry import wiring
from shared.entry.http import Request, Response, Routes
from shared.package import manifest
from shared.registry import blobs, versions
from shared.registry.log import Log
from shared.registry.state import Version
from shared.signing.local import LocalKey
from shared.storage.base import Store
from shared.storage.memory import MemoryStore

ROOT = Path(__file__).parent.parent
EVENT = json.loads((ROOT / "tests" / "events" / "apigateway_proxy.json").read_text())
CALLER = EVENT["requestContext"] | {"authorizer": {"scopes": "admin", "principalId": "bench"}}

# a function's log line is part of what a call costs; where it goes to is not
with contextlib.redirect_stdout(open(os.devnull, "w")):
    from functions.registry import app

    ingest = Routes("ingest")


# what every version of the benchmark says of itself
MANIFEST = manifest.encode(
    manifest.Manifest(
        licence="MIT",
        tags=["bench"],
        metrics={"accuracy": 0.91},
        inputs=[manifest.Tensor("x", "FP32", [-1, 4])],
        outputs=[manifest.Tensor("y", "FP32", [-1, 3])],
    )
)
MANIFEST_DIGEST = hashlib.sha256(MANIFEST).hexdigest()


def use(log: Log) -> None:
    """Have the functions of this process work on this log."""
    app.log = lambda: log  # type: ignore[attr-defined, assignment]


def wired(store: Store, key: LocalKey | None = None) -> Log:
    """A log as shared/entry/wiring.py makes it, signed where there is a key; with the manifest stored."""
    blobs.write(store, MANIFEST)
    return Log(store, signer=key, trusted=(key.public,) if key else (), on_commit=wiring._committed)


@ingest.route("POST", "/models/{model}/versions", scope="write")
def register(request: Request) -> Response:
    """What the ingest function does after it has checked an upload: commit the version."""
    version = versions.register(app.log(), request.params["model"], request.json(Version), request.act())
    return Response({"version": version.version}, 201)


def event(method: str, url: str, body: bytes) -> dict[str, Any]:
    """What API Gateway hands to a function."""
    parts = urlsplit(url)
    return EVENT | {
        "httpMethod": method,
        "path": parts.path,
        "queryStringParameters": dict(parse_qsl(parts.query)) or None,
        "body": body.decode() or None,
        "isBase64Encoded": False,
        "requestContext": CALLER,
    }


def answer(made: dict[str, Any]) -> tuple[int, bytes]:
    registers = made["httpMethod"] == "POST" and made["path"].endswith("/versions")
    ours: Callable[..., Any] = ingest if registers else app.handler
    reply = ours(made, None)
    return reply["statusCode"], reply["body"].encode()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        status, body = answer(event(self.command, self.path, self.rfile.read(length)))
        head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self.wfile.write(head.encode() + body)

    do_POST = do_PUT = do_GET

    def log_message(self, *_: Any) -> None:
        """The functions write a line per call already."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, listening: socket.socket) -> None:
        super().__init__(("", 0), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--bucket")
    parser.add_argument("--key", help="a PEM file to sign records with")
    options = parser.parse_args()
    listening = socket.create_server(("127.0.0.1", options.port), backlog=128)
    for _ in range(options.processes - 1):
        if os.fork() == 0:
            break
    store: Store = MemoryStore()
    if options.bucket:
        from shared.storage.s3 import S3Store

        store = S3Store(options.bucket, os.environ["AWS_ENDPOINT_URL"])
    use(wired(store, LocalKey.load(options.key) if options.key else None))
    Server(listening).serve_forever()


if __name__ == "__main__":
    main()
