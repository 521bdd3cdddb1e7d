"""Debian's packages as a source of data: downloaded and unpacked by its own tools, without an administrator."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from training.data import cache
from training.errors import TrainingError

T = TypeVar("T")
Options = tuple[str, ...]


@contextmanager
def unpacked(packages: list[str]) -> Iterator[Path | None]:
    """A temporary folder with what the packages install; None where there is no apt, or one of them cannot be had.

    Raises TrainingError for one that cannot be unpacked.
    """
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        yield None
        return
    with tempfile.TemporaryDirectory() as name:
        folder, content = Path(name), Path(name) / "content"
        archives = _by_some_lists(lambda options: _downloaded(packages, folder, options))
        for archive in archives:
            unpack(archive, content)
        yield content if archives else None


def _downloaded(packages: list[str], folder: Path, options: Options) -> list[Path]:
    """Their archives in the folder; nothing where one of them cannot be had."""
    done = subprocess.run(["apt-get", *options, "download", *packages], cwd=folder, capture_output=True, check=False)
    archives = sorted(folder.glob("*.deb"))
    return archives if not done.returncode and len(archives) >= len(packages) else []


def _by_some_lists(act: Callable[[Options], list[T]]) -> list[T]:
    """What apt finds by the machine's package lists, else by lists of our own: a slim image comes without any."""
    result = act(())
    if result:
        return result
    own = own_lists()
    return act(own) if own else []


@functools.cache
def own_lists() -> Options:
    """Options for apt-get: package lists fetched into a folder of this process. Needs no root; () where that fails."""
    folder = Path(tempfile.mkdtemp(prefix="apt-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    settings = {
        "Dir::State::lists": f"{folder / 'lists'}/",
        "Dir::Cache": f"{folder / 'cache'}/",
        "Debug::NoLocking": "1",
        "APT::Sandbox::User": "root",  # root's downloads would be another user's, who may not write here
        "Acquire::Retries": "1",
        "Acquire::http::Timeout": "20",
        "Acquire::https::Timeout": "20",
    }
    options = tuple(word for name, value in settings.items() for word in ("-o", f"{name}={value}"))
    done = subprocess.run(["apt-get", *options, "update"], capture_output=True, check=False)
    return () if done.returncode else options


def unpack(archive: Path, folder: Path) -> None:
    """Raises TrainingError: half of a package is not to be taken for all of it."""
    done = subprocess.run(["dpkg-deb", "-x", str(archive), str(folder)], check=False, capture_output=True)
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip()[:200] or f"exit code {done.returncode}"
        raise TrainingError(
            f"{archive.name} was downloaded and cannot be unpacked in {folder.parent} ({reason}): look whether that "
            "disk is full (TMPDIR names another place), then try again"
        )


def moved(unpacked: Path, target: Path) -> Path | None:
    """Copy a folder to where it is kept, in one step: an interrupted copy is never taken for the data.

    None where there is no such folder.
    """
    if not unpacked.is_dir():
        return None
    with cache.beside(target) as folder:
        cache.publish(shutil.copytree(unpacked, folder / "copy"), target)
    return target


def missing_for(package: str) -> list[str]:
    """The package, and what it needs that is not installed here; the package alone where apt cannot tell."""
    return _by_some_lists(lambda options: _to_install(package, options)) or [package]


def _to_install(package: str, options: Options) -> list[str]:
    done = subprocess.run(
        ["apt-get", *options, "--simulate", "--no-install-recommends", "install", package],
        capture_output=True,
        text=True,
        check=False,
    )
    names = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("Inst ")]
    return names if package in names else []


def environment(content: Path) -> dict[str, str]:
    """The variables with which an unpacked program finds its unpacked libraries."""
    folders = {path.parent for path in content.glob("usr/lib/**/*.so*")} | {
        path.parent for path in content.glob("lib/**/*.so*")
    }
    return {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(str(path) for path in sorted(folders))}
