"""What a client announced of its files is held against what arrived."""

from __future__ import annotations

import hashlib

import pytest

from shared.config import Config
from shared.ingest import pipeline
from shared.ingest.verdict import Limits
from shared.registry.log import Log
from shared.storage.memory import MemoryStore
from shared.uploads import forms, states
from shared.uploads.forms import Upload
from tests.support import linear

MODEL, OTHER = linear([[1.0], [0.0]]), linear([[2.0], [0.0]])
MANIFEST = b'{"task": "tensor"}'


def ingest(store: MemoryStore, announced: dict[str, bytes], arrived: dict[str, bytes]) -> Upload:
    files = [forms.File(name, sha256=hashlib.sha256(body).hexdigest()) for name, body in announced.items()]
    session = states.open_session(store, "m", files, "ann")
    for name, body in arrived.items():
        store.put(session.keys[name], body)
    return pipeline.ingest(Log(store), Config(bucket="unused"), session, Limits())


@pytest.mark.parametrize(
    "arrived", [{"model.onnx": OTHER}, {"model.onnx": MODEL + b"\0"}, {"amaas.json": MANIFEST.replace(b" ", b"  ")}]
)
def test_other_bytes_than_announced_are_rejected(arrived: dict[str, bytes]) -> None:
    store, announced = MemoryStore(), {"model.onnx": MODEL, "amaas.json": MANIFEST}
    upload = ingest(store, announced, announced | arrived)
    assert (upload.state, upload.code) == ("rejected", "digest_mismatch")
    [name] = arrived
    assert (upload.reason or "").startswith(f"{name} arrived with SHA-256 {hashlib.sha256(arrived[name]).hexdigest()}")
    assert Log(store).read("m").revision == 0


def test_the_announced_bytes_are_registered() -> None:
    files = {"model.onnx": MODEL, "amaas.json": MANIFEST}
    assert ingest(MemoryStore(), files, files).version == 1
