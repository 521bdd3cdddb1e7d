"""Runs `amaas.convert`, in a process of its own: what it does takes packages that the extras install.

A process, because a damaged file can end one, and other libraries print as they like.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from amaas.errors import AmaasError

PROGRAM = "amaas.convert"
GOLDEN = ("numpy", "onnxruntime", "tokenizers")
LONGEST = 1800.0  # seconds


class Converted(NamedTuple):
    """files: by their names in the package. notes: what the user should know."""

    files: dict[str, Path]
    notes: list[str]


def golden_set(graph: Path, described: dict[str, Any], tokenizer: Path, folder: Path) -> Converted:
    """golden.npz of a graph that is pushed as it is, of what it answers here; none where that fails, and why."""
    if not all(find_spec(name) for name in GOLDEN):
        return Converted({}, ["it goes without a golden set, which pip install 'amaas[check]' would have made"])
    after = described.get("postprocess") or {}
    request = {"kind": "golden", "model": str(graph.resolve()), "tokenizer": str(tokenizer), "folder": str(folder)}
    try:
        return run(request | {"plan": described["preprocess"], "output": after.get("output")}, graph)
    except AmaasError as error:
        return Converted({}, [f"it goes without a golden set: {error}"])


def run(request: dict[str, Any], path: Path) -> Converted:
    """What the process answers. path: what it is about. Raises AmaasError."""
    try:
        # -P: no module of the current folder is taken for one of a library's
        done = subprocess.run(
            [sys.executable, "-P", "-m", PROGRAM],
            input=json.dumps(request).encode(),
            capture_output=True,
            timeout=LONGEST,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise AmaasError(f"{path.name} took more than {LONGEST:.0f} seconds here: push ONNX of it") from error
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        last = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2][:200]
        how = f"signal {-done.returncode}" if done.returncode < 0 else last or f"exit status {done.returncode}"
        raise AmaasError(f"{path.name} has ended what reads it ({how}): export ONNX anew, and push that") from None
    if "error" in answer:
        raise AmaasError(answer["error"])
    return Converted({name: Path(file) for name, file in answer["files"].items()}, answer["notes"])
