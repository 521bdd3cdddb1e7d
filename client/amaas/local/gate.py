"""The check of a package on this machine, as the upload's: the gate in a process of its own, confined as there.

The wheel brings the gate's code (`amaas/_gate`); what that imports, the extra `amaas[check]` installs. In a checkout,
its own code is taken, with the layers that `make run` has built.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import amaas
from amaas.errors import AmaasError, Rejected

PROGRAM = "shared.ingest.alone"
NEEDED = ("msgspec", "numpy", "onnx", "onnxruntime")  # of those, who has one, has all
LONGEST = 1800.0  # seconds


class Place(NamedTuple):
    """Where the gate is: the interpreter, and the folders of its modules."""

    python: str
    folders: list[Path]


def check(model: str, files: dict[str, Path]) -> dict[str, Any]:
    """The manifest as it would be registered, `size` in bytes and `seconds`. Raises Rejected, AmaasError."""
    place = _place()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, place.folders))}
    package = {"model": model, "files": {name: str(path.resolve()) for name, path in files.items()}}
    try:
        done = subprocess.run(
            [place.python, "-m", PROGRAM],
            input=json.dumps(package).encode(),
            capture_output=True,
            env=environment,
            timeout=LONGEST,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise AmaasError(f"the check took more than {LONGEST:.0f} seconds, and was ended") from error
    if done.returncode:
        last = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise AmaasError(f"the check has failed itself ({last[:200]}): push the package, to have the service check it")
    outcome: dict[str, Any] = json.loads(done.stdout)
    if not outcome["accepted"]:
        raise Rejected({"state": "rejected", "code": outcome["code"], "reason": outcome["reason"]})
    return outcome


def _place() -> Place:
    """Raises AmaasError that says what to install."""
    if sys.platform != "linux":
        raise AmaasError(
            "the check runs on Linux, whose kernel confines it: use a container, or push: that checks, too"
        )
    code = Path(amaas.__file__).parent
    if (code / "_gate" / "shared").is_dir() and all(find_spec(name) for name in NEEDED):
        return Place(sys.executable, [code / "_gate"])
    for folder in (code.parents[1], Path.cwd(), *Path.cwd().parents):
        built = folder / ".local" / "build"
        if (built / "IngestFunction").is_dir() and (folder / ".local" / "python").is_file():
            python = (folder / ".local" / "python").read_text(encoding="utf-8").splitlines()[0]
            layers = [built / "CoreLayer" / "python", built / "RuntimeLayer" / "python"]
            # `shared` is the checkout's, which may be newer than what was built; packages are the built function's
            return Place(python, [folder, built / "IngestFunction", *layers])
    raise AmaasError(
        "the check runs the model, which needs more: in a checkout, `make run`, or pip install './client[check]'"
    )
