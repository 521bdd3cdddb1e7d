"""Debian packages of any architecture and release, unpacked into a folder and not installed: no root, no traces.

They come from the mirror that this machine's own apt uses, and are checked with Debian's own keys.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
FORMAT = "$(ORIGIN)|$(LABEL)|$(REPO_URI)"


class Missing(Exception):
    """What an emulated processor needs is not there, and could not be fetched."""


def unpacked(folder: Path, architecture: str, release: str, packages: Sequence[str]) -> Path:
    """The folder, with the packages and all they depend on. Raises Missing. Done once."""
    stamp = folder / ".ready"
    if stamp.exists():
        return folder
    source = f"deb [signed-by={KEYS}] {_mirror()} {release} main\n"
    with tempfile.TemporaryDirectory() as name:
        options = _private(Path(name), architecture, source)
        _apt([*options, "update"])
        _apt([*options, "--yes", "--no-install-recommends", "--download-only", "install", *packages])
        for archive in sorted((Path(name) / "archives").glob("*.deb")):
            subprocess.run(["dpkg", "-x", archive, folder], check=True)
    stamp.touch()
    return folder


def _mirror() -> str:
    if not shutil.which("apt-get") or not KEYS.exists():
        raise Missing("Debian's packages are needed, and this is no Debian: leave this processor out")
    targets = subprocess.run(
        ["apt-get", "indextargets", "--format", FORMAT], capture_output=True, text=True, check=True
    )
    for line in targets.stdout.splitlines():
        origin, label, address = line.split("|")
        if (origin, label) == ("Debian", "Debian"):
            return address
    raise Missing("apt knows no Debian mirror: run `apt-get update` once, or leave this processor out")


def _private(folder: Path, architecture: str, source: str) -> list[str]:
    """Options of apt for a state of its own, in which nothing is installed."""
    for name in ("lists/partial", "archives/partial", "etc"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    (folder / "etc" / "sources.list").write_text(source)
    settings = {
        "APT::Architecture": architecture, "APT::Architectures": architecture, "APT::Sandbox::User": "",
        "Dir::State": folder, "Dir::State::status": folder / "status", "Dir::State::Lists": folder / "lists",
        "Dir::Cache": folder, "Dir::Cache::Archives": folder / "archives", "Debug::NoLocking": "1",
        "Dir::Etc::sourcelist": folder / "etc" / "sources.list", "Dir::Etc::sourceparts": "/dev/null",
    }  # fmt: skip
    return [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]


def _apt(arguments: list[str]) -> None:
    done = subprocess.run(["apt-get", "--quiet", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Missing(f"apt-get could not fetch Debian's packages: {done.stderr.strip()[-400:]}")
