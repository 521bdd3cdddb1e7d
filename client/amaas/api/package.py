"""A package on this side: which files of a folder belong to it, its name, their sizes and digests."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from amaas.api import huggingface, whisper
from amaas.errors import AmaasError

MODEL, MANIFEST = "model.onnx", "amaas.json"
STANDARD = (MODEL, MANIFEST, "golden.npz")
REFERENCES = ("file", "tokenizer", "reference")  # members that hold the name of a file
WEIGHTS = (".data", ".bin", ".weights", ".onnx_data")


@contextmanager
def opened(path: Path, graph: str | None = None) -> Iterator[dict[str, Path]]:
    """The files to send, by their names in the package, while they are needed: see `files`.

    Of a language model as exporters leave it, some are derived. graph: which of its models. Raises AmaasError.
    """
    if not path.is_dir() or not huggingface.is_language_model(path):
        yield files(path)
        return
    with tempfile.TemporaryDirectory(prefix="amaas-push-") as folder:
        yield _of_language_model(path, graph, Path(folder))


def _of_language_model(path: Path, chosen: str | None, derived: Path) -> dict[str, Path]:
    """derived: a folder for what is not in the model's own as it is sent."""
    if whisper.is_speech_model(path):
        graphs, described, template = whisper.graphs(path, chosen), whisper.derive(path), None
    else:
        graphs = {MODEL: huggingface.graph(path, chosen)}
        described, template = huggingface.derive(path)
    own = path / MANIFEST
    described |= manifest({MANIFEST: own}) if own.is_file() else {}
    (derived / MANIFEST).write_text(json.dumps(described), encoding="utf-8")
    package = {**graphs, MANIFEST: derived / MANIFEST}
    for graph in graphs.values():
        package |= huggingface.weights(graph)
    if template is not None:
        (derived / huggingface.TEMPLATE).write_text(template, encoding="utf-8")
        package[huggingface.TEMPLATE] = derived / huggingface.TEMPLATE
    return package | {huggingface.TOKENIZER: path / huggingface.TOKENIZER} | _referenced(path, described)


def files(path: Path) -> dict[str, Path]:
    """Of a package's folder, or of a single .onnx file with its weights beside it. Raises AmaasError."""
    if path.is_file():
        return {MODEL: path} | huggingface.weights(path)
    if not path.is_dir():
        raise AmaasError(f"{path} does not exist: give a package folder or an .onnx file")
    standard = {name: path / name for name in STANDARD if (path / name).is_file()}
    if MODEL not in standard:
        raise AmaasError(f"{path} is not a package: it has no {MODEL}{_advice(path)}")
    weights = {file.name: file for file in sorted(path.iterdir()) if file.name.endswith(WEIGHTS) and file.is_file()}
    return standard | _referenced(path, manifest(standard)) | weights | huggingface.weights(standard[MODEL])


def _advice(path: Path) -> str:
    others = sorted(path.glob("*.onnx"))
    return f"; rename {others[0].name} to that, or push that file alone" if others else ""


def _referenced(path: Path, manifest: dict[str, Any]) -> dict[str, Path]:
    """The files that the manifest names and that exist, from the folder itself only: names have no folders in them."""
    after = manifest.get("postprocess")
    towers = after.get("text") if isinstance(after, dict) else None
    members = [manifest.get("golden"), manifest.get("preprocess"), towers]
    names = [member.get(key) for member in members if isinstance(member, dict) for key in REFERENCES]
    flat = [name for name in names if isinstance(name, str) and Path(name).name == name]
    return {name: path / name for name in flat if (path / name).is_file()}


def model_name(path: Path, package: dict[str, Path]) -> str:
    """The name in the manifest, else that of the file or folder."""
    return str(manifest(package).get("name") or (path.stem if path.is_file() else path.resolve().name))


def manifest(package: dict[str, Path]) -> dict[str, Any]:
    """The package's amaas.json; empty if there is none. Raises AmaasError."""
    if MANIFEST not in package:
        return {}
    try:
        content = json.loads(package[MANIFEST].read_text(encoding="utf-8"))
    except ValueError as error:
        raise AmaasError(f"{package[MANIFEST]} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise AmaasError(f"{package[MANIFEST]} is not a JSON object: it has to start with a brace")
    return content


def announcement(package: dict[str, Path]) -> list[dict[str, Any]]:
    """Name, size in bytes and SHA-256 of each file, as an upload session takes them. Raises AmaasError."""
    for name, path in package.items():
        if not path.stat().st_size:
            raise AmaasError(f"{name} is empty: {path}")
    return [{"name": name, "size": path.stat().st_size, "sha256": digest(path)} for name, path in package.items()]


def digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
