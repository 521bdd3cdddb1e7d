"""A client in front of the functions: what it sends goes to their handlers, as gateway and storage would pass it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from amaas.api import transfer
from amaas.client import Client

from functions.inference import app as inference
from functions.ingest import app as ingest
from functions.registry import app as registry
from functions.upload import app as upload
from shared.storage.memory import MemoryStore
from tests.support import call, s3_event


def connected(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A client whose requests these functions answer, and whose files land in the store."""

    def carry(request: httpx.Request) -> httpx.Response:
        headers = {name.title(): value for name, value in request.headers.items() if name != "content-length"}
        query = dict(request.url.params) or None
        answer = call(
            _handler(request), request.method, request.url.path, request.content, query=query, headers=headers
        )
        return httpx.Response(answer.status, headers=answer.headers, content=answer.body)

    def send(targets: list[dict[str, Any]], package: dict[str, Path], *rest: Any) -> None:
        for target in targets:
            key = target["url"].partition("?")[0]
            key = key[key.index("uploads/") :]
            store.put(key, package[target["name"]].read_bytes())
            ingest.handler(s3_event(key), None)

    monkeypatch.setattr(transfer, "send", send)
    made = Client("http://service", "amaas_1_secret")
    made._http = httpx.Client(base_url="http://service", transport=httpx.MockTransport(carry))
    return made


def _handler(request: httpx.Request) -> Any:
    path = request.url.path
    if path.startswith("/v2"):
        return inference.handler
    return upload.handler if "upload" in path else registry.handler
