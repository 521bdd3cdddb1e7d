"""The Python client: one method per thing one can do. Speaks HTTP and presigned URLs, nothing else."""

from __future__ import annotations

import json
import mimetypes
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx

from amaas.api import package, transport, uploads
from amaas.api.aliases import Traffic
from amaas.api.batch import Batches
from amaas.api.endpoint import resolve
from amaas.api.tensors import Tensors
from amaas.api.training import Trainings
from amaas.errors import AmaasError, ApiError, Rejected

Json = dict[str, Any]
MAGIC = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif", b"BM": "image/bmp"}


class Client(Traffic, Batches, Tensors, Trainings):
    """A connection to one deployment. Raises ApiError, Rejected, NotConnected (all AmaasError)."""

    def __init__(self, url: str | None = None, token: str | None = None, timeout: float = 60) -> None:
        self.url, secret = resolve(url, token)
        headers = {"Authorization": f"Bearer {secret}", "Accept": "application/json"}
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=timeout, verify=transport.certificates())

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def models(self, search: str | None = None, *, task: str | None = None, tag: str | None = None) -> list[Json]:
        """All models whose name contains `search`, of a task, with a tag; however many pages that takes."""
        wanted = {"search": search, "task": task, "tag": tag}
        query = {name: value for name, value in wanted.items() if value}
        return list(self._pages("/models", "models", query))

    def model(self, name: str) -> Json:
        """A model with its aliases, its versions (newest first) and its card."""
        return self._call("GET", _model(name))

    def version(self, name: str, version: int | str) -> Json:
        """A version's manifest; `version` is a number or an alias."""
        return self._call("GET", f"{_model(name)}/versions/{quote(str(version), safe='')}")

    def push(
        self,
        path: str | Path,
        model: str | None = None,
        *,
        on_progress: Callable[[int, int], None] | None = None,
        wait: bool = True,
        timeout: float = 300,
    ) -> Json:
        """Upload a package folder or an .onnx file, and wait for the verdict.

        on_progress(bytes sent, bytes in all) is called from the threads that send. timeout: seconds to wait for the
        verdict. Returns the upload's state. Raises Rejected with the reason.
        """
        source = Path(path)
        files = package.files(source)
        name = model or package.model_name(source, files)
        ticket = self._call("POST", f"{_model(name)}/uploads", json={"files": package.announce(files)})
        uploads.send(ticket["files"], files, on_progress)
        return self.wait(ticket["upload_id"], timeout) if wait else self.upload(ticket["upload_id"])

    def wait(self, upload: str, timeout: float = 300) -> Json:
        """Wait until an upload is registered. Raises Rejected."""
        deadline, pause = time.monotonic() + timeout, 0.1
        while True:
            state = self.upload(upload)
            if state["state"] == "rejected":
                raise Rejected(state)
            if state["state"] == "registered":
                return state
            if time.monotonic() > deadline:
                raise AmaasError(
                    f"upload {upload} is still {state['state']!r} after {timeout:g} s; it goes on by itself: "
                    f"see GET /uploads/{upload}"
                )
            time.sleep(pause)
            pause = min(pause * 1.3, 2)

    def upload(self, upload: str) -> Json:
        """The state of an upload: waiting, checking, registered (then `version`) or rejected (then `reason`)."""
        return self._call("GET", f"/uploads/{quote(upload, safe='')}")

    def uploads(self, model: str) -> list[Json]:
        """All uploads of a model, those that came through the inbox too."""
        return list(self._pages(f"{_model(model)}/uploads", "uploads", {}))

    def predict(
        self,
        model: str,
        input: str | Path | bytes | Json,
        version: int | str | None = None,
        *,
        content_type: str | None = None,
        options: dict[str, str] | None = None,
        key: str | None = None,
    ) -> Json:
        """A prediction in the model's own terms.

        input: a file, its bytes, or a JSON object. version: a number or an alias; else production. content_type: else
        by the first bytes, else by the file's name. options: of the task, as {"top_k": "3"}. key: callers with the same
        one get the same version of an alias that is split.
        """
        body, guessed = _input(input)
        headers = {"Content-Type": content_type or guessed} | ({"x-request-key": key} if key else {})
        path = f"{_at(_model(model), version)}/predict"
        return self._call("POST", path, repeat=True, content=body, headers=headers, params=options or {})

    def explain(
        self,
        model: str,
        input: str | Path | bytes | Json,
        version: int | str | None = None,
        *,
        content_type: str | None = None,
        options: dict[str, str] | None = None,
        picture: bool = False,
    ) -> Json | bytes:
        """Why a model answers as it does: how much each part of the input adds to the score of a class.

        options: label, method, samples, seed. picture: of an image, a PNG instead of numbers. Else as in predict.
        """
        body, guessed = _input(input)
        headers = {"Content-Type": content_type or guessed} | ({"Accept": "image/png"} if picture else {})
        path = f"{_at(_model(model), version)}/explain"
        answer: Json | bytes = self._call(
            "POST", path, repeat=True, content=body, headers=headers, params=options or {}
        )
        return answer

    def infer(self, model: str, body: Json, version: int | str | None = None) -> Json:
        """An Open Inference Protocol call with JSON tensors."""
        return self._call("POST", f"/v2{_at(_model(model), version)}/infer", repeat=True, json=body)

    def tokens(self) -> list[Json]:
        """All tokens without their secrets, revoked ones too."""
        return list(self._call("GET", "/tokens")["tokens"])

    def create_token(self, name: str, scopes: list[str], expires_in_days: float | None = None) -> Json:
        """A new token; the answer's `token` is shown this once."""
        body: Json = {"name": name, "scopes": scopes}
        if expires_in_days is not None:
            body["expires_in_days"] = expires_in_days
        return self._call("POST", "/tokens", json=body)

    def revoke_token(self, identity: str) -> Json:
        """From now on (within the authorizer's cache time) the token is refused. It stays listed."""
        return self._call("DELETE", f"/tokens/{quote(identity, safe='')}")

    def status(self) -> Json:
        """{"url", "live", "ready", "models"}; models is how many, or None where the token may not list them."""
        live, ready = self._health("live"), self._health("ready")
        return {"url": self.url, "live": live, "ready": ready, "models": self._count()}

    def _health(self, what: str) -> bool:
        try:
            return bool(self._call("GET", f"/v2/health/{what}")[what])
        except ApiError as error:
            if error.status < 500:
                raise
            return False

    def _count(self) -> int | None:
        try:
            return len(self.models())
        except ApiError as error:
            if error.status not in (401, 403):
                raise
            return None

    def _call(self, method: str, path: str, **options: Any) -> Json:
        answer: Json = transport.request(self._http, method, path, **options)
        return answer

    def _pages(self, path: str, member: str, query: dict[str, str]) -> Iterator[Json]:
        while True:
            page = self._call("GET", path, params=query)
            yield from page[member]
            if page.get("next") is None:
                return
            query = query | {"next": str(page["next"])}


def _model(name: str) -> str:
    if not name.strip("."):
        raise AmaasError(f"{name!r} is no model's name")
    return f"/models/{quote(name, safe='')}"


def _at(path: str, version: int | str | None) -> str:
    return path if version is None else f"{path}/versions/{quote(str(version), safe='')}"


def _input(given: str | Path | bytes | Json) -> tuple[bytes, str]:
    if isinstance(given, dict):
        return json.dumps(given).encode(), "application/json"
    if isinstance(given, bytes):
        return given, _type(given, "")
    path = Path(given)
    if not path.is_file():
        raise AmaasError(f"{path} is no file that can be read")
    body = path.read_bytes()
    return body, _type(body, path.name)


def _type(body: bytes, name: str) -> str:
    """By the first bytes, which do not lie as names do; else by the name."""
    for magic, kind in MAGIC.items():
        if body.startswith(magic):
            return kind
    if body[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav"}.get(body[8:12], "application/octet-stream")
    guessed = mimetypes.guess_type(name)[0]
    return guessed or ("application/json" if body.lstrip()[:1] in (b"{", b"[") else "application/octet-stream")
