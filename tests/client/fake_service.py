"""A real HTTP server with the service's contract and none of its insides: models, uploads, tokens, storage targets."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "amaas_000000000000_secret"


class Service:
    """The state, and the knobs that make it fail. calls: every request as (method, path)."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.stored: dict[str, bytes] = {}
        self.models: dict[str, list[dict[str, Any]]] = {}
        self.aliases: dict[str, dict[str, int]] = {}
        self.uploads: dict[str, dict[str, Any]] = {}
        self.tokens: dict[str, dict[str, Any]] = {}
        self.fail: list[tuple[int, dict[str, str]]] = []
        self.fail_parts = 0
        self.reject: str | None = None
        self.page = 2
        self.part_size: int | None = None
        self.polls = 0
        self.bodies: list[tuple[str, bytes]] = []
        self.url = ""


@contextmanager
def running() -> Iterator[Service]:
    service = Service()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(service))
    service.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(service: Service) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None:
            pass

        def _serve(self) -> None:
            length = self.headers.get("Content-Length")
            body = self.rfile.read(int(length)) if length else b""
            service.calls.append((self.command, self.path))
            if self.path.startswith("/s3/"):
                status, headers, answer = _storage(service, self, body)
            elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
                status, headers, answer = 401, {}, _json({"error": "no valid token: send Authorization: Bearer …"})
            elif service.fail:
                status, headers = service.fail.pop(0)
                answer = _json({"error": f"made to fail with {status}"})
            else:
                service.bodies.append((self.headers.get("Content-Type", ""), body))
                status, answer = _api(service, self.command, self.path.removeprefix("/v1"), body)
                headers = {}
            self.send_response(status)
            for name, value in ({"Content-Type": "application/json"} | headers).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_PUT = do_DELETE = _serve

    return Handler


def _json(data: Any) -> bytes:
    return json.dumps(data).encode()


def _storage(service: Service, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str], bytes]:
    key = request.path
    if request.command == "DELETE":
        service.stored = {k: v for k, v in service.stored.items() if not k.startswith(key)}
        return 204, {}, b""
    if request.command == "POST":
        parts = re.findall(r"<ETag>(.*?)</ETag>", body.decode())
        found = [service.stored.pop(f"{key}/{n}") for n in range(1, len(parts) + 1)]
        assert parts == [f"&quot;{n}&quot;" if "&quot;" in parts[0] else f'"{n}"' for n in range(1, len(parts) + 1)]
        service.stored[key] = b"".join(found)
        return 200, {}, b"<CompleteMultipartUploadResult/>"
    if request.headers.get("Transfer-Encoding") or request.headers.get("Content-Length") is None:
        return 411, {}, b"<Error><Code>MissingContentLength</Code></Error>"
    number = key.rsplit("/", 1)[1]
    if number.isdigit() and service.fail_parts:
        service.fail_parts -= 1
        return 503, {}, b"<Error>SlowDown</Error>"
    if not number.isdigit() and request.headers.get("If-None-Match") != "*":
        return 403, {}, b"<Error>SignatureDoesNotMatch</Error>"
    service.stored[key] = body
    return 200, {"ETag": f'"{number}"'}, b""


def _api(service: Service, method: str, path: str, body: bytes) -> tuple[int, bytes]:
    path, _, query = path.partition("?")
    for verb, pattern, serve in ROUTES:
        match = re.fullmatch(pattern, path)
        if match and verb == method:
            return serve(service, query, body, *match.groups())
    return 404, _json({"error": f"there is no route {method} {path}"})


def _create(service: Service, query: str, body: bytes, model: str) -> tuple[int, bytes]:
    files = json.loads(body)["files"]
    upload = f"upload{len(service.uploads):04d}"
    base = service.url.removesuffix("/v1")
    targets = []
    for file in files:
        key = f"{base}/s3/{upload}/{file['name']}"
        if service.part_size and file["size"] > service.part_size:
            count = -(-file["size"] // service.part_size)
            urls = [f"{key}/{n}" for n in range(1, count + 1)]
            targets.append(
                {
                    "name": file["name"],
                    "part_size": service.part_size,
                    "parts": urls,
                    "complete": {"method": "POST", "url": key},
                    "abort": {"method": "DELETE", "url": key},
                }
            )
        else:
            headers = {"If-None-Match": "*", "Content-Length": str(file["size"])}
            targets.append({"name": file["name"], "method": "PUT", "url": key, "headers": headers})
    service.uploads[upload] = {"upload_id": upload, "model": model, "state": "waiting", "files": files}
    return 201, _json({"upload_id": upload, "model": model, "files": targets, "status_url": f"/uploads/{upload}"})


def _upload(service: Service, query: str, body: bytes, upload: str) -> tuple[int, bytes]:
    state = service.uploads[upload]
    service.polls += 1
    for file in state["files"]:
        stored = service.stored.get(f"/s3/{upload}/{file['name']}")
        if stored is None:
            return 200, _json(state)
        assert hashlib.sha256(stored).hexdigest() == file["sha256"]
    if service.reject:
        return 200, _json(state | {"state": "rejected", "code": "crashed", "reason": service.reject})
    if service.polls % 2:
        return 200, _json(state | {"state": "checking"})
    versions = service.models.setdefault(state["model"], [])
    versions.append(
        {
            "version": len(versions) + 1,
            "size": 10,
            "created_at": "2026-01-01T00:00:00Z",
            "by": "me",
            "digest": "0" * 64,
            "task": "tensor",
        }
    )
    service.aliases.setdefault(state["model"], {"production": 1})
    return 200, _json(state | {"state": "registered", "version": len(versions)})


def _models(service: Service, query: str, body: bytes) -> tuple[int, bytes]:
    asked = dict(part.split("=") for part in query.split("&") if part)
    names = [n for n in sorted(service.models) if asked.get("search", "") in n and n > asked.get("next", "")]
    page, rest = names[: service.page], names[service.page :]
    rows = [
        {"name": n, "task": "tensor", "latest": len(service.models[n]), "aliases": _aliases(service, n)} for n in page
    ]
    return 200, _json({"models": rows, "next": page[-1] if rest else None})


def _aliases(service: Service, model: str) -> dict[str, Any]:
    return {name: {"version": version} for name, version in service.aliases[model].items()}


def _model(service: Service, query: str, body: bytes, model: str) -> tuple[int, bytes]:
    if model not in service.models:
        return 404, _json({"error": f"there is no model {model!r}"})
    return 200, _json(
        {
            "name": model,
            "task": "tensor",
            "revision": 3,
            "aliases": _aliases(service, model),
            "versions": service.models[model],
            "card": "# Card",
        }
    )


def _alias(service: Service, query: str, body: bytes, model: str, alias: str) -> tuple[int, bytes]:
    move = json.loads(body)
    if move.get("expect_revision", 3) != 3:
        return 409, _json({"error": "the model is at revision 3"})
    service.aliases[model][alias] = move["version"]
    return 200, _json({"model": model, "alias": alias, "version": move["version"], "revision": 4})


def _predict(service: Service, query: str, body: bytes, model: str, version: str | None) -> tuple[int, bytes]:
    labels = [{"label": "boot", "score": 0.9}, {"label": "bag", "score": 0.1}]
    return 200, _json({"model": model, "version": version or 1, "predictions": labels})


def _token(service: Service, query: str, body: bytes) -> tuple[int, bytes]:
    made = json.loads(body) | {"id": f"{len(service.tokens):012d}", "created_at": "2026", "revoked": False}
    service.tokens[made["id"]] = made
    return 201, _json(made | {"token": "amaas_new"})


def _revoke(service: Service, query: str, body: bytes, identity: str) -> tuple[int, bytes]:
    service.tokens[identity]["revoked"] = True
    return 200, _json(service.tokens[identity])


RECORD = {
    "revision": 1,
    "kind": "register",
    "at": "2026-01-01T00:00:00Z",
    "by": "me",
    "aliases": {"production": 1},
    "version": {"version": 1},
}
ROUTES: list[tuple[str, str, Any]] = [
    ("POST", r"/models/([^/]+)/uploads", _create),
    ("GET", r"/uploads/([^/]+)", _upload),
    ("GET", r"/models", _models),
    ("GET", r"/models/([^/]+)", _model),
    ("GET", r"/models/([^/]+)/history", lambda *a: (200, _json({"records": [RECORD], "next": None}))),
    (
        "GET",
        r"/models/([^/]+)/versions/([^/]+)",
        lambda s, q, b, m, v: (
            200,
            _json(
                {
                    "name": m,
                    "version": 1,
                    "task": "tensor",
                    "size": 5,
                    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}],
                }
            ),
        ),
    ),
    ("PUT", r"/models/([^/]+)/aliases/([^/]+)", _alias),
    ("POST", r"/models/([^/]+)(?:/versions/([^/]+))?/predict", _predict),
    ("GET", r"/v2/health/(live|ready)", lambda *a: (200, _json({"live": True, "ready": True}))),
    ("GET", r"/tokens", lambda s, *a: (200, _json({"tokens": list(s.tokens.values())}))),
    ("POST", r"/tokens", _token),
    ("DELETE", r"/tokens/(\d+)", _revoke),
]
