"""Bring a language model's folder to fewer bits on this machine: training/language, run by the training environment."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from amaas.errors import AmaasError
from amaas.local.training import with_modules_of

Json = dict[str, Any]
REPORT = "forms.json"
STDERR = 2


def forms(python: Path, checkout: Path, folder: Path, out: Path, arguments: Sequence[str]) -> list[Json]:
    """Make them, each a folder in `out`, which is new. Returns a row for each form, that of the float model first.

    It prints on standard error. Raises AmaasError if it fails, or if a form that was asked for is refused.
    """
    command = [python, "-m", "training.language", folder.absolute(), "--out", out.absolute(), *arguments]
    process = subprocess.run([str(part) for part in command], env=with_modules_of(checkout), stdout=STDERR, check=False)
    if process.returncode:
        raise AmaasError(f"optimizing {folder} ended with exit status {process.returncode}; its messages are above")
    return list(json.loads((out / REPORT).read_text(encoding="utf-8"))["steps"])
