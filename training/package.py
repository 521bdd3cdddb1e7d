"""A package folder: opened with its weights, and written whole or not at all. What a step does to it is not in here."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx.external_data_helper import ExternalDataInfo, uses_external_data

from training.errors import TrainingError

Arrays = dict[str, np.ndarray]
MODEL, MANIFEST, GOLDEN = "model.onnx", "amaas.json", "golden.npz"
SIGNATURE = "model.sig"  # of the parent's bytes: it would not hold for what a step makes
PARENTS = {"metrics.jsonl", "cleaning.json", "training.log", "curves.png", "confusion.png", "calibration.png"}
LARGEST = 2**31 - 1  # bytes of one protobuf message


@dataclass(frozen=True)
class Package:
    """manifest: amaas.json as it is. model: with all weights inside. size: bytes of the model and its weight files.

    weights: names of files beside the model that hold its weights. golden: inputs [rows, …] by name; empty without.
    """

    folder: Path
    manifest: dict[str, Any]
    model: onnx.ModelProto
    weights: frozenset[str]
    digest: str
    size: int
    golden: Arrays

    @property
    def name(self) -> str:
        return str(self.manifest.get("name") or self.folder.resolve().name)

    @property
    def privacy(self) -> dict[str, Any]:
        """What private training has spent; empty for any other."""
        return (self.manifest.get("metrics") or {}).get("privacy") or {}

    @property
    def reference(self) -> str:
        """What a child's lineage calls it."""
        return f"{self.name}@sha256:{self.digest}"


def read(folder: Path) -> Package:
    """Raises TrainingError for a folder that is no package, or one whose files cannot be read."""
    path = folder / MODEL
    if not path.is_file():
        raise TrainingError(f"{folder} has no {MODEL}: give the folder of a package")
    manifest = _manifest(folder / MANIFEST)
    try:
        graph = onnx.load(path, load_external_data=False)
        weights = frozenset(_external(graph))
        model = onnx.load(path) if weights else graph
    except Exception as error:  # protobuf, onnx and the file system each raise their own
        raise TrainingError(f"{path} cannot be read ({_first(error)}): export the model again") from error
    size = path.stat().st_size + sum((folder / name).stat().st_size for name in weights)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Package(folder, manifest, model, weights, digest, size, _golden(folder, manifest))


def arrays(path: Path) -> Arrays:
    """The inputs in an npz file, its arrays named `input.<name>` or `<name>`. Raises TrainingError."""
    try:
        with np.load(path, allow_pickle=False) as file:
            inputs = {name: file[name] for name in file.files if not name.startswith("output.")}
    except (OSError, ValueError, EOFError) as error:
        raise TrainingError(f"{path} cannot be read ({error}): write it with numpy.savez, without objects") from error
    return {name.removeprefix("input."): values for name, values in inputs.items()}


def serialized(model: onnx.ModelProto) -> bytes:
    """One file with the weights inside. Raises TrainingError where protobuf's 2 GiB do not suffice."""
    if model.ByteSize() > LARGEST:
        raise TrainingError("the result is larger than the 2 GiB of one ONNX file: these steps are for smaller models")
    buffer = io.BytesIO()
    onnx.save_model(model, buffer)
    return buffer.getvalue()


def write(parent: Package, out: Path, body: bytes, manifest: Mapping[str, Any], golden: Arrays) -> None:
    """model.onnx, amaas.json, golden.npz into out, beside the parent's other files but those of its training."""
    replaced = {MODEL, MANIFEST, GOLDEN, SIGNATURE, golden_name(parent.manifest), *parent.weights}
    for path in sorted(parent.folder.iterdir()):
        if path.is_file() and path.name not in replaced | PARENTS:
            shutil.copyfile(path, out / path.name)
    (out / MODEL).write_bytes(body)
    with (out / GOLDEN).open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **golden)
    write_manifest(out, manifest)


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")


@contextmanager
def whole(out: Path) -> Iterator[Path]:
    """A folder beside out to write into; it becomes out when the block ends well, and is removed when it does not."""
    vacant(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        yield draft
        draft.chmod(0o755)  # mkdtemp's folders are for nobody else
        draft.rename(out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def vacant(out: Path) -> None:
    """Raises TrainingError where the package could not be written in the end: better now than after minutes."""
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise TrainingError(f"--out {out} is there already: give a folder that does not exist yet")
    above = next(folder for folder in out.absolute().parents if folder.exists())
    if not above.is_dir():
        raise TrainingError(f"--out {out} cannot be made: {above} is a file. Give a path below folders")
    if not os.access(above, os.W_OK | os.X_OK):
        raise TrainingError(f"--out {out} cannot be made: you may not write in {above}. Give another path")


def golden_name(manifest: Mapping[str, Any]) -> str:
    return str((manifest.get("golden") or {}).get("file") or GOLDEN)


def _manifest(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}  # a bare model is a package too
    try:
        manifest = json.loads(path.read_bytes())
    except ValueError as error:
        raise TrainingError(f"{path} is not valid JSON ({error}): make the package anew") from error
    if not isinstance(manifest, dict):
        raise TrainingError(f"{path} is not a JSON object: make the package anew")
    return manifest


def _golden(folder: Path, manifest: dict[str, Any]) -> Arrays:
    if (manifest.get("golden") or {}).get("cases"):
        raise TrainingError("the golden set is written out in amaas.json, which steps cannot renew: use golden.npz")
    path = folder / golden_name(manifest)
    return arrays(path) if path.is_file() else {}


def _external(model: onnx.ModelProto) -> Iterator[str]:
    for tensor in model.graph.initializer:
        if uses_external_data(tensor):
            yield ExternalDataInfo(tensor).location


def _first(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0][:200]
