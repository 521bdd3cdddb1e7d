"""Checks that the disk has room for what `make run` is about to do, before it starts.

python -m local.room      before the environments are set up
"""

from __future__ import annotations

import shutil
from pathlib import Path

from local.settings import ENVS, HOME, ROOT

GiB = 2**30
ENVIRONMENTS = 3 * GiB  # with uv's cache, the build, and the workers of the first minutes: 2.5 GiB when measured
CLOUD = GiB  # a warm worker unpacks up to 200 MB of layers; the state of the bucket comes on top


def check(folder: Path, needed: int = CLOUD) -> None:
    """Raises SystemExit if the folder's disk has less than `needed` bytes free."""
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise SystemExit(
            f"{folder} has {free / GiB:.1f} GiB free, and {needed / GiB:.0f} GiB are needed: free some, or put the "
            "deployment on another disk with AMAAS_HOME=/path make run"
        )


if __name__ == "__main__":
    check(HOME)
    if not (ENVS / "cloud" / ".ready").exists():
        check(ROOT, ENVIRONMENTS)
