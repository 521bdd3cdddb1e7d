"""Write the served files of a package into a folder, each under its digest, and print the digests of the model.

Ingest may optimize a model, so the served model may differ from the pushed one. The models layer has to hold the served
one, so the gate itself checks the package here, as it will when the package is pushed.

    python -m tools.models_layer PACKAGE FOLDER
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import msgspec

from shared.ingest.supervisor import check_model
from shared.ingest.verdict import Verdict
from shared.package import manifest, processing
from shared.serving.layer import Forms


def check(package: Path) -> Verdict:
    """The gate's verdict on a package. Raises SystemExit if it is rejected."""
    manifest_file = package / "amaas.json"
    declared = msgspec.to_builtins(manifest.decode(manifest_file.read_bytes())) if manifest_file.exists() else None
    files = {path.name: path for path in package.iterdir() if path.is_file() and path != manifest_file}
    verdict = check_model(files, declared)
    if not verdict.accepted:
        raise SystemExit(f"{package.name} is rejected: {verdict.reason}")
    return verdict


def extra_files(package: Path) -> list[Path]:
    """The other files that serving needs, such as a tokenizer."""
    manifest_file = package / "amaas.json"
    if not manifest_file.exists():
        return []
    declared = manifest.decode(manifest_file.read_bytes())
    return [package / name for name in processing.files(declared.preprocess, declared.postprocess)]


def write(folder: Path, body: bytes) -> str:
    digest = hashlib.sha256(body).hexdigest()
    (folder / digest).write_bytes(body)
    return digest


def main(package: Path, folder: Path) -> Forms:
    """Digests of each form in which the model is served, as the registry will have them."""
    for file in extra_files(package):
        write(folder, file.read_bytes())
    verdict = check(package)
    if verdict.samples is not None:
        write(folder, verdict.samples)
    model = write(folder, verdict.optimized or (package / "model.onnx").read_bytes())
    return Forms(model, write(folder, verdict.wide) if verdict.wide is not None else None)


if __name__ == "__main__":
    print(msgspec.json.encode(main(Path(sys.argv[1]), Path(sys.argv[2]))).decode())
