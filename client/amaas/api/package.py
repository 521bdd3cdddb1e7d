"""A package on this side: which files of a folder belong to it, its name, their sizes and digests."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from amaas.api import archives, conversion, encoders, foreign, huggingface, json_files, whisper
from amaas.errors import AmaasError

Note = Callable[[str], None]  # takes what the user should know

MODEL, MANIFEST, GOLDEN = "model.onnx", "amaas.json", "golden.npz"
STANDARD = (MODEL, MANIFEST, GOLDEN)
REFERENCES = ("file", "tokenizer", "reference")  # members that hold the name of a file
WEIGHTS = (".data", ".bin", ".weights", ".onnx_data")


@contextmanager
def opened(
    path: Path,
    graph: str | None = None,
    *,
    examples: Path | None = None,
    trust_pickle: bool = False,
    note: Note | None = None,
) -> Iterator[dict[str, Path]]:
    """The files to send, by their names in the package, while they are needed: see `files`.

    Of models as other tools leave them, some are derived. graph: which of a folder's models. examples: a CSV file with
    rows that a conversion is proven with. trust_pickle: whether a pickle may be read, which runs the code in it. note
    is called with what the user should know of what was derived. Raises AmaasError.
    """
    if path.is_file() and archives.suffix(path):
        if graph or examples:
            raise AmaasError(f"{path.name} is an archive: unpack it, and push the folder with --graph or --examples")
        with tempfile.TemporaryDirectory(prefix="amaas-push-") as name:
            inner = archives.unpack(path, Path(name))
            with opened(inner, trust_pickle=trust_pickle, note=note) as packed:
                yield packed
        return
    model = conversion.model_in(path)
    if examples is not None and model is None:
        raise AmaasError(f"{path} is not converted, which examples are for: put them into a golden set instead")
    if model is None and not (huggingface.is_language_model(path) or encoders.is_encoder(path)):
        yield files(path)
        return
    with tempfile.TemporaryDirectory(prefix="amaas-push-") as name:
        folder = Path(name)
        if model is not None:
            converted = conversion.convert(model, folder, examples, trust_pickle=trust_pickle)
            tell(converted.notes, note)
            yield _of_converted(path, converted.files, folder)
        elif huggingface.is_language_model(path):
            yield _of_language_model(path, graph, folder)
        else:
            package, notes = _of_encoder(path, graph, folder)
            tell(notes, note)
            yield package


def _of_converted(path: Path, converted: dict[str, Path], derived: Path) -> dict[str, Path]:
    """With what lies in the folder of the model, if it is in one that was pushed."""
    if not path.is_dir():
        return converted
    described = with_own(manifest(converted), path)
    named = _names(described)
    converted = {name: file for name, file in converted.items() if name in (*STANDARD, *named)}
    return converted | {MANIFEST: _written(described, derived)} | _referenced(path, described)


def tell(notes: list[str], note: Note | None) -> None:
    for one in notes:
        if note is not None:
            note(one)


def _of_encoder(path: Path, chosen: str | None, derived: Path) -> tuple[dict[str, Path], list[str]]:
    """derived: a folder for the amaas.json that is sent."""
    graph = huggingface.graph(path, chosen)
    described, notes = encoders.derive(path, graph, _own(path))
    described = with_own(described, path)
    package = {MODEL: graph, MANIFEST: _written(described, derived)} | huggingface.weights(graph)
    package |= _referenced(path, described)
    if (path / GOLDEN).is_file():
        return package | {GOLDEN: path / GOLDEN}, notes
    plan = described.get("preprocess")
    plan = {"kind": encoders.IMPLIED.get(described["task"])} | plan if isinstance(plan, dict) else {}
    if "golden" in described or plan.get("kind") not in ("text", "image"):
        return package, notes
    tokenizer = (path / str(plan.get("tokenizer", huggingface.TOKENIZER))).resolve()
    golden = conversion.golden_set(graph, {**described, "preprocess": plan}, tokenizer, derived)
    return package | golden.files, notes + golden.notes


def derived(path: Path, graph: str | None = None) -> tuple[dict[str, Any], list[str]] | None:
    """What is derived of a folder in Hugging Face's form, without its own amaas.json, and notes; None of other paths.

    Raises AmaasError.
    """
    if whisper.is_speech_model(path):
        whisper.graphs(path, graph)
        return whisper.derive(path), []
    if huggingface.is_language_model(path):
        huggingface.graph(path, graph)
        return huggingface.derive(path)[0], []
    return encoders.derive(path, huggingface.graph(path, graph)) if encoders.is_encoder(path) else None


def with_own(derived: dict[str, Any], path: Path) -> dict[str, Any]:
    """What the folder's own amaas.json says goes before what is derived. Of another task, nothing derived would fit."""
    own = _own(path)
    if own.get("task", derived["task"]) != derived["task"]:
        derived = {name: derived[name] for name in ("card", "licence") if name in derived}
    return derived | own


def _own(path: Path) -> dict[str, Any]:
    """What the amaas.json in a folder says; empty where there is none. Raises AmaasError."""
    return manifest({MANIFEST: path / MANIFEST}) if (path / MANIFEST).is_file() else {}


def _written(described: dict[str, Any], folder: Path) -> Path:
    (folder / MANIFEST).write_text(json.dumps(described, ensure_ascii=False), encoding="utf-8")
    return folder / MANIFEST


def _of_language_model(path: Path, chosen: str | None, derived: Path) -> dict[str, Path]:
    """derived: a folder for what is not in the model's own as it is sent."""
    if whisper.is_speech_model(path):
        graphs, described, template = whisper.graphs(path, chosen), whisper.derive(path), None
    else:
        graphs = {MODEL: huggingface.graph(path, chosen)}
        described, template = huggingface.derive(path)
    described |= _own(path)
    package = {**graphs, MANIFEST: _written(described, derived)}
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
        what = "is neither a file nor a folder" if path.exists() else "does not exist"
        raise AmaasError(f"{path} {what}: give a package folder or an .onnx file")
    standard = {name: path / name for name in STANDARD if (path / name).is_file()}
    if MODEL not in standard:
        graphs = foreign.graphs(path)
        if len(graphs) != 1:
            raise AmaasError(f"{path} is not a package: it has no {MODEL}{foreign.advice_on_folder(path)}")
        standard = {MODEL: graphs[0]} | standard
    weights = {file.name: file for file in sorted(path.iterdir()) if file.name.endswith(WEIGHTS) and file.is_file()}
    return standard | _referenced(path, manifest(standard)) | weights | huggingface.weights(standard[MODEL])


def _referenced(path: Path, manifest: dict[str, Any]) -> dict[str, Path]:
    """The files that the manifest names and that exist, from the folder itself only: names have no folders in them."""
    return {name: path / name for name in _names(manifest) if (path / name).is_file()}


def _names(manifest: dict[str, Any]) -> list[str]:
    """Of the files that a manifest names."""
    after = manifest.get("postprocess")
    towers = after.get("text") if isinstance(after, dict) else None
    members = [manifest.get("golden"), manifest.get("preprocess"), towers]
    names = [member.get(key) for member in members if isinstance(member, dict) for key in REFERENCES]
    return [name for name in names if isinstance(name, str) and Path(name).name == name]


def model_name(path: Path, package: dict[str, Path]) -> str:
    """The name in the manifest, else that of the file or folder."""
    own = path.resolve().name
    if path.is_file():
        own = path.name[: -len(archives.suffix(path) or path.suffix) or None]
    return str(manifest(package).get("name") or own)


def manifest(package: dict[str, Path]) -> dict[str, Any]:
    """The package's amaas.json; empty if there is none. Raises AmaasError."""
    if MANIFEST not in package:
        return {}
    try:
        content = json_files.read(package[MANIFEST])
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
