"""Debian packages of any architecture and release, unpacked into a folder instead of installed: needs no root.

They come from the mirror that this machine's apt uses, and are verified with Debian's keys.
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
    """Something that an emulated processor needs is missing, and could not be fetched."""


def unpacked(folder: Path, architecture: str, release: str, packages: Sequence[str]) -> Path:
    """The folder, with the packages and their dependencies; unpacked on first use. Raises Missing."""
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
        raise Missing("Debian's packages are needed, and this machine does not run Debian: omit this processor")
    targets = subprocess.run(
        ["apt-get", "indextargets", "--format", FORMAT], capture_output=True, text=True, check=True
    )
    for line in targets.stdout.splitlines():
        origin, label, address = line.split("|")
        if (origin, label) == ("Debian", "Debian"):
            return address
    raise Missing("apt knows no Debian mirror: run `apt-get update` once, or omit this processor")


def _private(folder: Path, architecture: str, source: str) -> list[str]:
    """Options that give apt a state of its own, in which no package is installed."""
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
    process = subprocess.run(["apt-get", "--quiet", *arguments], capture_output=True, text=True, check=False)
    if process.returncode:
        raise Missing(f"apt-get could not fetch Debian's packages: {process.stderr.strip()[-400:]}")
