"""What a package is on this side: which files of a folder belong to it, its name, their sizes and digests."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from amaas.errors import AmaasError

NAMED = ("model.onnx", "amaas.json", "golden.npz")
NAMING = ("file", "tokenizer", "reference")  # members of golden and preprocess that name a file of the package
WEIGHTS = (".data", ".bin", ".weights", ".onnx_data")


def files(path: Path) -> dict[str, Path]:
    """The files to send, by their names in the package: of a folder, or of a bare .onnx file. Raises AmaasError."""
    if path.is_file():
        return {"model.onnx": path}
    if not path.is_dir():
        raise AmaasError(f"{path} does not exist: give a package folder or an .onnx file")
    found = {name: path / name for name in NAMED if (path / name).is_file()}
    if "model.onnx" not in found:
        raise AmaasError(f"{path} is no package: it has no model.onnx{_instead(path)}")
    beside = {file.name: file for file in sorted(path.iterdir()) if file.name.endswith(WEIGHTS) and file.is_file()}
    return found | _declared(path, described(found)) | beside


def _instead(path: Path) -> str:
    others = sorted(path.glob("*.onnx"))
    return f"; rename {others[0].name} to that, or push that file alone" if others else ""


def _declared(path: Path, manifest: dict[str, Any]) -> dict[str, Path]:
    """The files that amaas.json names, where they are there. Only from the folder itself: names are flat."""
    members = {name: manifest.get(name) for name in ("golden", "preprocess")}
    named = [value.get(key) for value in members.values() if isinstance(value, dict) for key in NAMING]
    flat = [name for name in named if isinstance(name, str) and Path(name).name == name]
    return {name: path / name for name in flat if (path / name).is_file()}


def model_name(path: Path, package: dict[str, Path]) -> str:
    """What the package calls itself, else its file's or folder's name."""
    return str(described(package).get("name") or (path.stem if path.is_file() else path.resolve().name))


def described(package: dict[str, Path]) -> dict[str, Any]:
    """The package's amaas.json; empty where there is none. Raises AmaasError."""
    if "amaas.json" not in package:
        return {}
    try:
        manifest = json.loads(package["amaas.json"].read_text(encoding="utf-8"))
    except ValueError as error:
        raise AmaasError(f"{package['amaas.json']} is no valid JSON: {error}") from error
    if not isinstance(manifest, dict):
        raise AmaasError(f"{package['amaas.json']} is no JSON object: it starts with a brace")
    return manifest


def announce(package: dict[str, Path]) -> list[dict[str, Any]]:
    """Name, size in bytes and SHA-256 of each file, as the service wants them announced. Raises AmaasError."""
    for name, path in package.items():
        if not path.stat().st_size:
            raise AmaasError(f"{name} is empty: {path}")
    return [{"name": name, "size": path.stat().st_size, "sha256": _digest(path)} for name, path in package.items()]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
