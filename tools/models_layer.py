"""Write what a package is served as into a folder, each file under its digest, and print those of the model.

Ingest may optimise a model, so what is served is not what was pushed. The models layer has to hold what is served, and
asks here: the gate itself decides, as it will when the package is pushed.

    python -m tools.models_layer PACKAGE FOLDER
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import msgspec

from shared.ingest.supervisor import check_model
from shared.ingest.verdict import Verdict
from shared.package import manifest, processing


def checked(package: Path) -> Verdict:
    """What the gate says of a package. Raises SystemExit when that is no."""
    described = package / "amaas.json"
    declared = msgspec.to_builtins(manifest.decode(described.read_bytes())) if described.exists() else None
    files = {path.name: path for path in package.iterdir() if path.is_file() and path != described}
    verdict = check_model(files, declared)
    if not verdict.accepted:
        raise SystemExit(f"{package.name} is refused: {verdict.reason}")
    return verdict


def beside(package: Path) -> list[Path]:
    """The other files that serving needs, a tokenizer for one."""
    described = package / "amaas.json"
    plan = manifest.decode(described.read_bytes()).preprocess if described.exists() else None
    return [package / name for name in processing.files(plan)]


def write(folder: Path, body: bytes) -> str:
    digest = hashlib.sha256(body).hexdigest()
    (folder / digest).write_bytes(body)
    return digest


def main(package: Path, folder: Path) -> dict[str, str]:
    """The digests that the registry will know the model by, of each form in which it is served."""
    for file in beside(package):
        write(folder, file.read_bytes())
    verdict = checked(package)
    if verdict.samples is not None:
        write(folder, verdict.samples)
    forms = {"model": write(folder, verdict.optimized or (package / "model.onnx").read_bytes())}
    return forms | ({"wide": write(folder, verdict.wide)} if verdict.wide is not None else {})


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]))))
