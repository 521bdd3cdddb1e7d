"""A tiny language model in a store, as it was pushed, and calls of it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from amaas.api import package

from functions.generate import app, calls
from shared.ingest.candidate import check_package, store_blobs
from shared.ingest.verdict import Limits
from shared.package import manifest
from shared.registry import versions
from shared.registry.log import Log
from shared.registry.state import Change
from shared.serving.observe import Call
from shared.storage.memory import MemoryStore
from tests.decoders import folders
from tests.support import Answer, call

HI = [{"role": "user", "content": "hi"}]
CHAT, TEXT, GENERATE = "/v1/chat/completions", "/v1/completions", "/v2/models/tiny/generate"
PERSON = {
    "type": "object",
    "properties": {"on": {"type": "boolean"}, "n": {"enum": [1, 2]}},
    "required": ["on", "n"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "look", "parameters": PERSON}}


def push(store: MemoryStore, folder: Path, name: str = "tiny", **changes: Any) -> None:
    """Through the gate. changes: members of amaas.json, objects merged into those that are derived."""
    with package.opened(folder) as files, tempfile.TemporaryDirectory() as room:
        declared = json.loads(files["amaas.json"].read_text())
        for member, values in changes.items():
            declared[member] = {**declared.get(member, {}), **values} if isinstance(values, dict) else values
        described = manifest.decode(json.dumps(declared).encode(), check_names=True)
        candidate = check_package(name, described, files, Limits(), Path(room))
        log = Log(store)
        upload = f"upload-{len(log.read(name).versions)}"
        versions.register(log, name, store_blobs(log, candidate, upload), Change(by="tester"))


def tiny(store: MemoryStore, room: Path, name: str = "tiny", **changes: Any) -> None:
    """A model of 96 tokens with random weights, one for each character."""
    push(store, folders.write(room / name), name, **changes)


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> MemoryStore:
    store = MemoryStore()
    tiny(store, tmp_path_factory.mktemp("tiny"))
    return store


@pytest.fixture(autouse=True)
def models(store: MemoryStore, pushed: MemoryStore) -> None:
    store._objects.update(pushed._objects)


@pytest.fixture
def counted() -> Iterator[list[Call]]:
    seen: list[Call] = []
    calls.observers.subscribe(seen.append)
    yield seen
    calls.observers._observers.remove(seen.append)


def ask_of(path: str = CHAT, **body: Any) -> Answer:
    asked: dict[str, Any] = {CHAT: {"model": "tiny", "messages": HI}, TEXT: {"model": "tiny", "prompt": "hi"}}.get(
        path, {"text_input": "hi"}
    )
    return call(app.handler, "POST", path, {**asked, **body})


ask = ask_of


def events(answer: Answer) -> list[Any]:
    """What the events say; [DONE] is left out, and has to be the last one under /v1."""
    blocks = answer.body.decode().strip().split("\n\n")
    assert all(block.startswith("data: ") for block in blocks)
    return [json.loads(block[6:]) for block in blocks if block != "data: [DONE]"]


def text_of(answer: Answer) -> str:
    return str(answer.json["choices"][0]["message"]["content"])
