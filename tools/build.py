"""The build methods of `sam build`: they make each function's and layer's artifact. Run in the environment `build`.

Everything is built for the runtime and platform it will run on, not for this machine, and reproducibly: unchanged
sources make the same archive, so that a deployment updates only what changed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tools import closure

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "requirements"
MODELS = ROOT / "layers" / "models"
PLATFORMS = {"x86_64": "x86_64-manylinux_2_31", "arm64": "aarch64-manylinux_2_31"}  # by Lambda's name
# of functions; a lock may also be another environment's, as training.txt is
OWN_PACKAGES = ("ingest", "batchplan", "publickey", "trainingstate")
# of functions that stream: they are started by our own loop, which none of their modules imports
STREAMING = ("generate",)
LOOP = ROOT / "shared" / "entry" / "runtime_loop"
PACKAGED = 315_532_800  # 1980-01-01, the earliest time that a zip archive can carry

# Parts of packages that no function imports.
STRIPPED = [
    "**/tests",
    "**/*.pyi",
    "bin",
    "numpy/f2py",
    "numpy/_core/include",
    "numpy/_core/lib",
    "simdjson/*.cpp",
    "simdjson/*.h",
    "onnxruntime/backend",
    "onnxruntime/datasets",
    "onnxruntime/quantization",
    "onnxruntime/tools",
    "onnxruntime/transformers",
    "onnx/backend",
    "onnx/reference/ops",
]


def function(name: str, target: Path) -> None:
    """Copy functions/{name}, the modules of shared/ that it reaches, and the packages that only this function needs.

    A change elsewhere leaves the artifact as it is, to the byte, so that a deployment does not restart the function.
    """
    copy(closure.of_function(name), target)
    if name in STREAMING:
        loop(target)
    if name in OWN_PACKAGES:
        install(f"{name}.txt", target)
    static = ROOT / "functions" / name / "static"
    if static.is_dir():
        shutil.copytree(static, target / static.relative_to(ROOT))
    if name == "registry":
        describe("api", target / "functions" / name / "openapi.json")
    if name == "console":
        describe("api.page", target / "functions" / name / "api.html")
    finish(target, "/var/task")


def loop(target: Path) -> None:
    """Copy the client of Lambda's Runtime API, and the script that starts it: AWS_LAMBDA_EXEC_WRAPPER is its path."""
    modules = closure.reached("shared.entry.runtime_loop.__main__")
    copy([*(closure.modules()[name] for name in modules), LOOP / "start"], target)


def copy(files: Iterable[Path], target: Path) -> None:
    """Copy files of this repository to where they are in it, with their permissions: Lambda executes the script."""
    for file in files:
        place = target / file.relative_to(ROOT)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place)


def describe(module: str, file: Path) -> None:
    """Write the API's OpenAPI document, or its page, for which all functions are imported with their packages."""
    python_here(module, str(file))


def layer(lock: str, target: Path) -> None:
    install(lock, target / "python")
    finish(target, "/opt")


def models(target: Path) -> None:
    """Write the bundled models as they are served, and index.json with their digests: see tools/models_layer.py."""
    blobs = target / "models" / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    packages = sorted(path.parent for path in MODELS.glob("*/model.onnx"))
    index = {package.name: serve(package, blobs) for package in packages}
    # also keeps the layer from being empty, which Lambda refuses
    (target / "models" / "index.json").write_text(json.dumps(index, indent=1))
    finish(target, "/opt")


def serve(package: Path, blobs: Path) -> dict[str, Any]:
    digests: dict[str, Any] = json.loads(python_here("tools.models_layer", str(package), str(blobs)))
    return digests


def python_here(module: str, *arguments: str) -> str:
    """The output of a module of this repository, run with the packages of the present environment."""
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def install(lock: str, target: Path) -> None:
    """Install the packages of a lock for the runtime and Lambda's platform, whatever this machine is."""
    command = [os.environ.get("UV", "uv"), "pip", "install", "--quiet", "--target", str(target)]
    command += ["--python-version", runtime().removeprefix("python"), "--python-platform", platform()]
    command += ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--link-mode", "copy"]
    subprocess.run([*command, "--requirement", str(LOCKS / lock)], check=True)
    for pattern in STRIPPED:
        for path in list(target.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def finish(target: Path, deployed_at: str) -> None:
    """deployed_at: the folder on Lambda, which bytecode names in tracebacks."""
    compile_(target, deployed_at)
    for path in [target, *target.rglob("*")]:
        os.utime(path, (PACKAGED, PACKAGED))


def compile_(target: Path, deployed_at: str) -> None:
    """Write bytecode, which halves the cold start.

    It is never compared with the source: archives lose the file times that the usual check compares, and Python would
    compile everything at each start, on a file system that it cannot write to.
    """
    python = interpreter()
    if python is None:
        print(f"no {runtime()} on this machine: built without bytecode, so cold starts take longer", file=sys.stderr)
        return
    command = [python, "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash"]
    subprocess.run([*command, "-s", str(target), "-p", deployed_at, str(target)], check=True, stdout=sys.stderr)


def interpreter() -> str | None:
    """A Python of the target's version, if there is one here."""
    if runtime() == f"python{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    version = runtime().removeprefix("python")
    command = [
        os.environ.get("UV", "uv"),
        "python",
        "find",
        "--system",
        "--no-python-downloads",
        "--no-project",
        version,
    ]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    return process.stdout.strip() or None


def platform() -> str:
    name = os.environ.get("AMAAS_ARCHITECTURE", "x86_64")
    if name not in PLATFORMS:
        raise SystemExit(f"AMAAS_ARCHITECTURE is {name!r}: choose one of {', '.join(PLATFORMS)}")
    return PLATFORMS[name]


def runtime() -> str:
    return os.environ.get("AMAAS_RUNTIME", "python3.12")


def main(resource: str, target: Path) -> None:
    """Build one resource of the template, named by its logical id."""
    if resource == "ModelsLayer":
        models(target)
    elif resource.endswith("Layer"):
        layer(f"{resource.removesuffix('Layer').lower()}.txt", target)
    else:
        function(resource.removesuffix("Function").lower(), target)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
