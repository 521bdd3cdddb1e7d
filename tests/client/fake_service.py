"""An Amaas service on the loopback interface: the HTTP contract and presigned storage, held in memory.

It is as strict as the real ones where a client may err: tokens, exact presigned headers, digests, multipart lists. It
checks no model: one whose bytes start with "bad" is rejected. The sockets are in server.py.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any
from urllib.parse import quote, unquote
from xml.etree import ElementTree

TOKEN = "amaas_0001_secret"
WHEN = "2026-01-02T03:04:05.000000Z"
PAGE = 2


class Refusal(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


@dataclass
class Call:
    """What arrived. headers: lower-case names."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body or b"{}")


@dataclass
class Trouble:
    """An answer to give instead of the right one, `times` times. status 0 hangs up; delay is in seconds."""

    method: str
    path: str  # a regular expression that the path must contain
    status: int
    body: bytes = b'{"error": "not now"}'
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 1
    delay: float = 0
    after: bool = False  # carry the call out first, then lose its answer


@dataclass
class Fake:
    single_put: int = 1000  # files above this many bytes go in parts
    part_size: int = 600
    url: str = ""
    calls: list[Call] = field(default_factory=list)
    trouble: list[Trouble] = field(default_factory=list)
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    records: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    uploads: dict[str, dict[str, Any]] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    parts: dict[str, dict[int, bytes]] = field(default_factory=dict)  # of multipart uploads that are open
    aborted: list[str] = field(default_factory=list)
    tokens: dict[str, dict[str, Any]] = field(default_factory=dict)
    ready: bool = True
    verdicts: bool = True  # False: uploads stay in checking
    lock: Lock = field(default_factory=Lock)

    def add(self, model: str, task: str = "image-classification") -> int:
        """A new version; returns its number."""
        known = self.models.setdefault(model, {"task": task, "revision": 0, "aliases": {}, "versions": []})
        number = len(known["versions"]) + 1
        version = {"version": number, "task": task, "created_at": WHEN, "by": "bootstrap", "size": 2048 * number}
        known["versions"].insert(0, version | {"digest": f"{number:064x}"})
        aliases = {"production": 1} if number == 1 else {}
        self._record(model, "register", {"version": version, "aliases": aliases})
        return number

    def _record(self, model: str, kind: str, more: dict[str, Any]) -> None:
        known = self.models[model]
        known["revision"] += 1
        known["aliases"] |= {name: {"version": version} for name, version in more.get("aliases", {}).items()}
        record = {"kind": kind, "revision": known["revision"], "at": WHEN, "by": "bootstrap", **more}
        self.records.setdefault(model, []).insert(0, record)

    def said(self, method: str, path: str) -> list[Call]:
        return [call for call in self.calls if call.method == method and re.search(path, call.path)]

    # ---- the API

    def answer(self, call: Call) -> tuple[int, Any]:
        if call.headers.get("authorization") != f"Bearer {TOKEN}":
            raise Refusal(401, "this token is not known: send Authorization: Bearer amaas_…")
        for method, pattern, act in ROUTES:
            found = re.fullmatch(pattern, call.path)
            if found and method == call.method:
                result = act(self, call, *map(unquote, found.groups()))
                return result if isinstance(result, tuple) else (200, result)
        raise Refusal(404, f"there is no {call.method} {call.path}")

    def health(self, call: Call, what: str) -> Any:
        if what == "ready" and not self.ready:
            raise Refusal(503, "not ready")
        return {"live": True, "ready": True}

    def catalogue(self, call: Call) -> Any:
        names = sorted(name for name in self.models if call.query.get("search", "") in name)
        shown, following = _page(names, call, key=str)
        return {"models": [self._summary(name) for name in shown], "next": following}

    def _summary(self, name: str) -> dict[str, Any]:
        known = self.models[name]
        latest = known["versions"][0]["version"]
        return {"name": name, "task": known["task"], "latest": latest, "aliases": known["aliases"], "updated_at": WHEN}

    def model(self, call: Call, name: str) -> Any:
        return {"name": name, "card": "# Card\n\nA *fine* model.", "licence": "MIT", **self._known(name)}

    def _known(self, name: str) -> dict[str, Any]:
        if name not in self.models:
            raise Refusal(404, f"there is no model {name!r}: GET /models lists those there are")
        return self.models[name]

    def _version(self, name: str, reference: str) -> dict[str, Any]:
        known = self._known(name)
        number = int(reference) if reference.isdigit() else known["aliases"].get(reference, {}).get("version")
        for version in known["versions"]:
            if version["version"] == number:
                return dict(version)
        raise Refusal(404, f"model {name!r} has no version or alias {reference!r}")

    def version(self, call: Call, name: str, reference: str) -> Any:
        tensor = {"name": "image", "datatype": "FP32", "shape": [-1, 1, 28, 28]}
        return {**self._version(name, reference), "inputs": [tensor], "labels": ["cat", "dog"], "metrics": {"f1": 0.5}}

    def history(self, call: Call, name: str) -> Any:
        self._known(name)
        records, following = _page(self.records[name], call, key=lambda record: str(record["revision"]))
        return {"records": records, "next": following and int(following)}

    def set_alias(self, call: Call, name: str, alias: str) -> Any:
        move, known = call.json(), self._known(name)
        self._version(name, str(move["version"]))
        if move.get("expect_revision") not in (None, known["revision"]):
            raise Refusal(409, f"{name!r} is at revision {known['revision']}, not {move['expect_revision']}")
        more = {"aliases": {alias: move["version"]}} | ({"reason": move["reason"]} if "reason" in move else {})
        self._record(name, "alias", more)
        return {"model": name, "alias": alias, "version": move["version"], "revision": known["revision"]}

    def predict(self, call: Call, name: str, reference: str = "production") -> Any:
        number = self._version(name, reference)["version"]
        kind = call.headers.get("content-type", "")
        if kind == "application/json":
            return {"model": name, "version": number, "outputs": {"y": call.json()["inputs"]["x"]}}
        if not kind.startswith("image/"):
            raise Refusal(415, f"model {name!r} takes an image (image/png, image/jpeg), not {kind!r}")
        rows = [{"label": "[bold]cat\x1b[31m", "score": 0.75}, {"label": "dog", "score": 0.25}]
        return {"model": name, "version": number, "predictions": rows[: int(call.query.get("top_k", 2))]}

    def infer(self, call: Call, name: str, reference: str = "production") -> Any:
        version = self._version(name, reference)["version"]
        return {"model_name": name, "model_version": str(version), "outputs": call.json()["inputs"]}

    def list_tokens(self, call: Call) -> Any:
        return {"tokens": list(self.tokens.values())}

    def create_token(self, call: Call) -> Any:
        wanted, number = call.json(), f"{len(self.tokens) + 1:04d}"
        made = {"id": number, "name": wanted["name"], "scopes": wanted["scopes"], "created_at": WHEN, "revoked": False}
        self.tokens[number] = made
        return 201, made | {"token": f"amaas_{number}_{'s' * 200}", "expires_in_days": wanted.get("expires_in_days")}

    def revoke_token(self, call: Call, number: str) -> Any:
        if number not in self.tokens:
            raise Refusal(404, f"there is no token {number!r}")
        self.tokens[number]["revoked"] = True
        return self.tokens[number]

    # ---- uploads and their storage

    def open_upload(self, call: Call, model: str) -> Any:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", model):
            raise Refusal(400, f"{model!r} is no model name")
        files, number = call.json()["files"], f"u{len(self.uploads) + 1}"
        state = {"upload_id": number, "model": model, "state": "waiting", "by": "bootstrap", "created_at": WHEN}
        self.uploads[number] = state | {"files": files}
        targets = [self._target(f"{number}/{quote(file['name'])}", file) for file in files]
        return 201, state | {"expires_at": WHEN, "files": targets, "status_url": f"/uploads/{number}"}

    def _target(self, key: str, file: dict[str, Any]) -> dict[str, Any]:
        url = f"{self.url}/storage/{key}?X-Amz-Signature=abc"
        if file["size"] <= self.single_put:
            return {"name": file["name"], "method": "PUT", "url": url, "headers": _signed(file)}
        self.parts[key] = {}
        count = -(-file["size"] // self.part_size)
        return {
            "name": file["name"],
            "part_size": self.part_size,
            "parts": [f"{url}&partNumber={number}" for number in range(1, count + 1)],
            "complete": {"method": "POST", "url": f"{url}&uploadId=m"},
            "abort": {"method": "DELETE", "url": f"{url}&uploadId=m"},
        }

    def storage(self, call: Call) -> tuple[int, dict[str, str]]:
        """S3's side: status and headers."""
        key = call.path.removeprefix("/storage/")
        if "authorization" in call.headers or "transfer-encoding" in call.headers:
            raise Refusal(400, "<Error><Message>only the signature, no chunks</Message></Error>")
        if call.method == "DELETE":
            self.parts.pop(key)
            self.aborted.append(key)
            return 204, {}
        if call.method == "POST":
            return self._join(key, call)
        if "partNumber" in call.query:
            self.parts[key][int(call.query["partNumber"])] = call.body
            return 200, {"ETag": _etag(call.body)}
        return self._store(key, call)

    def _store(self, key: str, call: Call) -> tuple[int, dict[str, str]]:
        number, name = key.split("/")
        [file] = [file for file in self.uploads[number]["files"] if quote(file["name"]) == name]
        if any(call.headers.get(header.lower()) != value for header, value in _signed(file).items()):
            raise Refusal(403, "<Error><Code>SignatureDoesNotMatch</Code><Message>headers &amp; all</Message></Error>")
        if _checksum(hashlib.sha256(call.body).hexdigest()) != call.headers["x-amz-checksum-sha256"]:
            raise Refusal(400, "<Error><Code>BadDigest</Code></Error>")
        if key in self.objects:
            raise Refusal(412, "<Error><Code>PreconditionFailed</Code></Error>")
        self.objects[key] = call.body
        return 200, {}

    def _join(self, key: str, call: Call) -> tuple[int, dict[str, str]]:
        parts, listed = self.parts[key], ElementTree.fromstring(call.body)
        space = "{http://s3.amazonaws.com/doc/2006-03-01/}"
        tags = [(int(part[0].text or 0), part[1].text) for part in listed.iter(f"{space}Part")]
        if tags != [(number, _etag(parts[number])) for number in sorted(parts)] or not tags:
            raise Refusal(400, "<Error><Code>InvalidPart</Code></Error>")
        self.objects[key] = b"".join(parts[number] for number in sorted(parts))
        del self.parts[key]
        return 200, {}

    def upload(self, call: Call, number: str) -> Any:
        """Moves one state on with every look at it."""
        state = self.uploads[number]
        keys = [f"{number}/{quote(file['name'])}" for file in state["files"]]
        if state["state"] == "checking" and self.verdicts:
            self._decide(state, self.objects[f"{number}/model.onnx"])
        elif state["state"] == "waiting" and all(key in self.objects for key in keys):
            state["state"] = "checking"
        return state

    def _decide(self, state: dict[str, Any], model: bytes) -> None:
        if model.startswith(b"bad"):
            state |= {"state": "rejected", "code": "not_onnx", "reason": "this is no ONNX model: export it again"}
        else:
            state |= {"state": "registered", "version": self.add(state["model"])}

    def uploads_of(self, call: Call, model: str) -> Any:
        return {"uploads": [state for state in self.uploads.values() if state["model"] == model], "next": None}


NAME = r"/models/([^/]+)"
ROUTES: list[tuple[str, str, Callable[..., Any]]] = [
    ("GET", r"/v2/health/(live|ready)", Fake.health),
    ("GET", r"/models", Fake.catalogue),
    ("GET", NAME, Fake.model),
    ("GET", NAME + r"/versions/([^/]+)", Fake.version),
    ("GET", NAME + r"/history", Fake.history),
    ("GET", NAME + r"/uploads", Fake.uploads_of),
    ("POST", NAME + r"/uploads", Fake.open_upload),
    ("GET", r"/uploads/([^/]+)", Fake.upload),
    ("PUT", NAME + r"/aliases/([^/]+)", Fake.set_alias),
    ("POST", NAME + r"/predict", Fake.predict),
    ("POST", NAME + r"/versions/([^/]+)/predict", Fake.predict),
    ("POST", "/v2" + NAME + r"/infer", Fake.infer),
    ("POST", "/v2" + NAME + r"/versions/([^/]+)/infer", Fake.infer),
    ("GET", r"/tokens", Fake.list_tokens),
    ("POST", r"/tokens", Fake.create_token),
    ("DELETE", r"/tokens/([^/]+)", Fake.revoke_token),
]


def _page(rows: list[Any], call: Call, key: Callable[[Any], str]) -> tuple[list[Any], str | None]:
    keys = [key(row) for row in rows]
    start = keys.index(call.query["next"]) + 1 if "next" in call.query else 0
    shown = rows[start : start + PAGE]
    return shown, key(shown[-1]) if start + PAGE < len(rows) else None


def _signed(file: dict[str, Any]) -> dict[str, str]:
    checksum = _checksum(file["sha256"])
    return {"If-None-Match": "*", "Content-Length": str(file["size"]), "x-amz-checksum-sha256": checksum}


def _checksum(digest: str) -> str:
    return base64.b64encode(bytes.fromhex(digest)).decode()


def _etag(content: bytes) -> str:
    return f'"{hashlib.md5(content).hexdigest()}"'
