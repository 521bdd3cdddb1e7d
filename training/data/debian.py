"""Debian's packages as a source of data: downloaded and unpacked by its own tools, without an administrator."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def unpacked(packages: list[str]) -> Iterator[Path | None]:
    """A temporary folder with what the packages install; None where there is no apt, or one of them cannot be had."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        yield None
        return
    with tempfile.TemporaryDirectory() as name:
        folder, content = Path(name), Path(name) / "content"
        done = subprocess.run(["apt-get", "download", *packages], cwd=folder, capture_output=True, check=False)
        archives = sorted(folder.glob("*.deb"))
        if done.returncode or len(archives) < len(packages):
            yield None
            return
        for archive in archives:
            unpack(archive, content)
        yield content


def unpack(archive: Path, folder: Path) -> None:
    subprocess.run(["dpkg-deb", "-x", str(archive), str(folder)], check=False, capture_output=True)


def moved(unpacked: Path, target: Path) -> Path | None:
    """Copy a folder to where it is kept, in one step: an interrupted copy is never taken for the data."""
    if not unpacked.is_dir():
        return None
    partial = target.with_suffix(".partial")
    shutil.copytree(unpacked, partial, dirs_exist_ok=True)
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
    return target


def missing_for(package: str) -> list[str]:
    """The package, and what it needs that is not installed here; the package alone where apt cannot tell."""
    done = subprocess.run(
        ["apt-get", "--simulate", "--no-install-recommends", "install", package],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("Inst ")]
    return found if package in found else [package]


def environment(content: Path) -> dict[str, str]:
    """The variables with which an unpacked program finds its unpacked libraries."""
    folders = {path.parent for path in content.glob("usr/lib/**/*.so*")} | {
        path.parent for path in content.glob("lib/**/*.so*")
    }
    return {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(str(path) for path in sorted(folders))}
