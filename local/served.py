"""Print the digest of what a package is served as, and write those bytes into a folder under it.

Ingest may optimise a model, so what is served is not what was pushed. The models layer has to hold what is served, and
asks here: the gate itself decides, as it will when the package is pushed.

    python -m local.served PACKAGE FOLDER
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import msgspec

from shared.ingest.validate import examine
from shared.registry import manifest, plans


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


if __name__ == "__main__":
    body = served(Path(sys.argv[1]))
    digest = hashlib.sha256(body).hexdigest()
    (Path(sys.argv[2]) / digest).write_bytes(body)
    for file in beside(Path(sys.argv[1])):
        (Path(sys.argv[2]) / hashlib.sha256(file.read_bytes()).hexdigest()).write_bytes(file.read_bytes())
    print(digest)
