"""A version back as a package folder: what was uploaded, to look at, to change, and to push again.

The golden set is not kept by the service, so a package that had one in a file comes without it; cases that its
amaas.json writes out stay. A model whose weights were in files of their own comes as it is served, which is one file.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from amaas.api import graph, network, transport
from amaas.api.package import MANIFEST, MODEL
from amaas.errors import AmaasError

BLOCK = 1 << 20
# of what the service answers, not of the package
OF_THE_SERVICE = (
    *("version", "state", "created_at", "by", "size", "digest", "files", "source", "upload"),
    *("optional", "gate", "format", "inputs", "outputs"),
)
Json = dict[str, Any]
Progress = Callable[[int, int], None]  # bytes that have come, of how many


@dataclass
class Count:
    """Adds up the bytes that have come, of all files, and reports them."""

    total: int
    on_progress: Progress | None
    done: int = 0

    def add(self, size: int) -> None:
        self.done += size
        if self.on_progress:
            self.on_progress(self.done, self.total)


def write(described: Json, stored: Json, folder: Path, on_progress: Progress | None = None) -> list[str]:
    """Write a version's package into a new or empty folder, whole or not at all. Returns the names of its files.

    described: of getVersionFiles. stored: of getVersion. Raises AmaasError, ApiError.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise AmaasError(f"{folder} is there already, and not empty: give a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".amaas-pull-", dir=folder.parent) as temporary:
        partial = Path(temporary) / "package"
        partial.mkdir()
        _download(described, partial, on_progress)
        manifest = json.dumps(package_manifest(stored), indent=2, ensure_ascii=False)
        (partial / MANIFEST).write_text(f"{manifest}\n", encoding="utf-8")
        if folder.exists():
            folder.rmdir()
        shutil.move(partial, folder)
    return sorted(path.name for path in folder.iterdir())


def package_manifest(stored: dict[str, Any]) -> dict[str, Any]:
    """A version's manifest as a package may have it."""
    manifest = {name: value for name, value in stored.items() if name not in OF_THE_SERVICE and value is not None}
    golden = manifest.get("golden")
    if isinstance(golden, dict):
        golden = {name: value for name, value in golden.items() if name != "file" and value is not None}
        manifest["golden"] = golden
        if not golden.get("cases"):
            del manifest["golden"]
    return manifest


def _download(described: dict[str, Any], folder: Path, on_progress: Progress | None) -> None:
    files = described["files"]
    count = Count(sum(file["size"] for file in files), on_progress)
    with network.client(timeout=60) as http:  # storage must not see the token
        for file in files:
            _read(http, file, folder, count)
        names = {path.name for path in folder.iterdir()}
        if not set(graph.locations(folder / MODEL) or []) <= names:
            _read(http, described["served"], folder, Count(described["served"]["size"], None))


def _read(http: httpx.Client, file: Json, folder: Path, count: Count) -> None:
    """One file, whose digest is compared. Raises AmaasError."""
    name, digest = _own_name(file["name"]), hashlib.sha256()
    with (folder / name).open("wb") as out:
        for block in transport.download_blocks(http, file["url"], name, BLOCK):
            out.write(block)
            digest.update(block)
            count.add(len(block))
    if digest.hexdigest() != file["sha256"]:
        raise AmaasError(f"{name} came with other bytes than the service has: try again")


def _own_name(name: str) -> str:
    if Path(name).name != name or name in ("", ".", ".."):
        raise AmaasError(f"the service names a file {name!r}, which is no name: nothing was written")
    return name
