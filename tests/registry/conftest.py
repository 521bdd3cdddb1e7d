"""A log on the shipped in-memory store, and models in it."""

from __future__ import annotations

import msgspec
import pytest

from shared.package import manifest
from shared.package.manifest import Manifest
from shared.registry import blobs, versions
from shared.registry.log import Log
from shared.registry.state import Change, Version
from shared.storage.memory import MemoryStore

ANN, BOB = Change(by="ann"), Change(by="bob")


def a_version(upload: str, task: str = "tensor") -> Version:
    return Version(version=0, task=task, manifest="0" * 64, source="1" * 64, model="2" * 64, size=10, upload=upload)


def push(log: Log, model: str, count: int = 1, upload: str | None = None, **content: object) -> None:
    """Register `count` more versions of a model, with a manifest that can be read. upload: that the one came of."""
    body = manifest.encode(Manifest(name=model, **content))
    made = {"manifest": blobs.write(log.store, body), "model": blobs.write(log.store, b"weights")}
    for _ in range(count):
        number = log.read(model).latest + 1
        found = a_version(upload or f"upload-{number:06d}", str(content.get("task", "tensor")))
        assert versions.register(log, model, msgspec.structs.replace(found, **made), ANN).version == number


@pytest.fixture
def log() -> Log:
    return Log(MemoryStore())
