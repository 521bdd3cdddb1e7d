"""A sweep of memory sizes, by the checkout's command for operators: it creates functions, which takes AWS credentials.

Nothing of it is imported here: the client speaks HTTP only.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from amaas.errors import AmaasError
from amaas.local.training import with_modules_of

Json = dict[str, Any]


def sweep(function: str, model: str, version: int, item: Path, options: Sequence[str]) -> Json:
    """What `ops.tune` says of a version. item: an input. Its messages go to standard error. Raises AmaasError."""
    checkout = _checkout()
    python = checkout / ".local" / "envs" / "dev" / "bin" / "python"
    if not shutil.which(python):
        raise AmaasError(f"there is no environment at {python}: `make -C {checkout} .local/envs/dev/.ready` sets it up")
    command = [str(python), "-m", "ops.tune", function, f"{model}@{version}", str(item), *options]
    process = subprocess.run(
        command, env=with_modules_of(checkout), stdout=subprocess.PIPE, text=True, encoding="utf-8", check=False
    )
    try:
        answer: Json = json.loads(process.stdout)
    except ValueError as error:
        raise AmaasError(
            f"the sweep ended with exit status {process.returncode}; its messages are above. Where they speak of "
            "credentials: it takes those of an operator, who may create and delete functions"
        ) from error
    return answer


def _checkout() -> Path:
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "ops" / "tune.py").is_file():
            return folder
    raise AmaasError("a sweep needs a checkout, and this folder is not in one: change into it")
