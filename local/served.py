"""Write what a package is served as into a folder, each file under its digest, and print which they are (JSON).

Ingest may optimise a model, so what is served is not what was pushed. The models layer has to hold what is served, and
asks here: the gate itself decides, as it will when the package is pushed. The layer holds the model with its weights
apart: nothing but their place changes, and ONNX Runtime maps them into memory instead of reading and copying them.

    python -m local.served PACKAGE FOLDER
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import msgspec
import onnx

from shared.ingest.validate import examine
from shared.registry import manifest, plans

APART = 1024  # bytes: smaller tensors, shapes for one, are looked into while the model is loaded
PAGE = 4096  # what a mapping starts at


def served(package: Path) -> bytes:
    """The model as it will be served. Raises SystemExit when the gate refuses the package."""
    described = package / "amaas.json"
    declared = msgspec.to_builtins(manifest.decode(described.read_bytes())) if described.exists() else None
    files = {path.name: path for path in package.iterdir() if path.is_file() and path != described}
    verdict = examine(files, declared)
    if not verdict.accepted:
        raise SystemExit(f"{package.name} is refused: {verdict.reason}")
    return verdict.optimized or files["model.onnx"].read_bytes()


def beside(package: Path) -> list[Path]:
    """The other files that serving needs, a tokenizer for one."""
    described = package / "amaas.json"
    plan = manifest.decode(described.read_bytes()).preprocess if described.exists() else None
    return [package / name for name in plans.files(plan)]


def apart(body: bytes) -> tuple[bytes, bytes]:
    """The graph and the weights of a model; the graph names the weights' file by their digest.

    Raises SystemExit when the two put together again are not the model.
    """
    model = onnx.load_model_from_string(body)
    weights = bytearray()
    moved = [t for t in model.graph.initializer if t.HasField("raw_data") and len(t.raw_data) >= APART]
    places = []
    for tensor in moved:
        weights += bytes(-len(weights) % PAGE)
        places.append((len(weights), len(tensor.raw_data)))
        weights += tensor.raw_data
    location = hashlib.sha256(weights).hexdigest()
    for tensor, (offset, length) in zip(moved, places, strict=True):
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", offset), ("length", length)):
            tensor.external_data.add(key=key, value=str(value))
    graph = model.SerializeToString(deterministic=True)
    if not same(onnx.load_model_from_string(graph), bytes(weights), body):
        raise SystemExit("the weights cannot be told apart from this model: its layout is unusual")
    return graph, bytes(weights)


def same(graph: onnx.ModelProto, weights: bytes, body: bytes) -> bool:
    for tensor in graph.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            place = {entry.key: entry.value for entry in tensor.external_data}
            start = int(place["offset"])
            tensor.raw_data = weights[start : start + int(place["length"])]
            tensor.ClearField("data_location")
            tensor.ClearField("external_data")
    whole = onnx.load_model_from_string(body).SerializeToString(deterministic=True)
    return bool(graph.SerializeToString(deterministic=True) == whole)


def write(folder: Path, body: bytes) -> str:
    digest = hashlib.sha256(body).hexdigest()
    (folder / digest).write_bytes(body)
    return digest


def main(package: Path, folder: Path) -> dict[str, str]:
    """model: the digest that the registry will know it by. graph, weights: what is there instead of it."""
    body = served(package)
    for file in beside(package):
        write(folder, file.read_bytes())
    graph, weights = apart(body)
    found = {"model": hashlib.sha256(body).hexdigest(), "graph": write(folder, graph)}
    return found | ({"weights": write(folder, weights)} if weights else {})


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]))))
