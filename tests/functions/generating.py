"""A tiny language model in a store, as it was pushed."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from amaas.api import package

from shared.ingest.candidate import check_package, store_blobs
from shared.ingest.verdict import Limits
from shared.package import manifest
from shared.registry import versions
from shared.registry.log import Log
from shared.registry.state import Change
from shared.storage.memory import MemoryStore
from tests.decoders import folders


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
