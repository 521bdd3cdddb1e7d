"""The gate by itself, for a package on this machine: `amaas check`. Nothing is stored, and no service is called.

On standard input: {"model": the name, "files": {name in the package: path}}. On standard output: an Outcome, as JSON.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from shared.ingest.candidate import Rejected, check_package, read_declared
from shared.ingest.verdict import Limits
from shared.package.manifest import Manifest


class Package(Struct):
    """model: its name. files: the path of each file, by its name in the package."""

    model: str
    files: dict[str, str]


class Outcome(Struct, kw_only=True):
    """accepted: whether it would be registered; code, reason: why not. manifest: as it would be registered.

    size: of what is served, in bytes. seconds: that the checks took.
    """

    accepted: bool
    code: str = ""
    reason: str = ""
    manifest: Manifest | None = None
    size: int = 0
    seconds: float = 0.0


def check(package: Package) -> Outcome:
    """What ingest would say. Where the kernel takes no filter of system calls, the checks run without that wall."""
    started, limits = time.monotonic(), Limits(require_filter=False)
    files = {name: Path(path) for name, path in package.files.items()}
    try:
        declared = read_declared(package.model, files, limits)
        with tempfile.TemporaryDirectory(prefix="amaas-check-") as folder:
            candidate = check_package(package.model, declared, files, limits, Path(folder))
    except Rejected as rejection:
        return Outcome(accepted=False, code=rejection.code, reason=str(rejection), seconds=_since(started))
    return Outcome(accepted=True, manifest=candidate.manifest, size=candidate.size, seconds=_since(started))


def _since(started: float) -> float:
    return round(time.monotonic() - started, 2)


def main() -> None:
    package = msgspec.json.decode(sys.stdin.buffer.read(), type=Package)
    answer: Any = msgspec.json.encode(check(package))
    sys.stdout.buffer.write(answer)


if __name__ == "__main__":
    main()
