"""Debian packages, unpacked into a folder instead of installed: needs no root.

Those of any architecture and release come from the mirror that this machine's apt uses, and are verified with Debian's
keys; those of this machine's own release from all of its sources.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
STATUS = Path("/var/lib/dpkg/status")
FORMAT = "$(ORIGIN)|$(LABEL)|$(REPO_URI)"


STAND_IN = """Package: {name}
Status: install ok installed
Architecture: all
Multi-Arch: foreign
Version: 99
Maintainer: nobody
Description: stands for a package that is not needed

"""


class Missing(Exception):
    """Packages are needed, and could not be fetched."""


class Unknown(Missing):
    """This machine has no apt, or its sources have no such package: trying again does not help."""


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


def beside(folder: Path, packages: Sequence[str], without: Sequence[str] = ()) -> None:
    """Unpack packages into the folder, with those dependencies that this machine lacks.

    without: dependencies that are left out, with theirs. Raises Missing, Unknown.
    """
    if not shutil.which("apt-get") or not STATUS.exists():
        raise Unknown("this machine has no apt")
    with tempfile.TemporaryDirectory() as name:
        state = Path(name)
        options = _options(_settings(state))
        stands = "".join(STAND_IN.format(name=one) for one in without)
        (state / "status").write_text(f"{STATUS.read_text(errors='replace').rstrip()}\n\n{stands}")
        _apt([*options, "update"])
        for package in packages:
            known = subprocess.run(["apt-cache", *options, "show", package], capture_output=True, check=False)
            if not known.stdout.strip():
                raise Unknown(f"this machine's apt knows no package {package}")
        _apt([*options, "--yes", "--no-install-recommends", "--download-only", "install", *packages])
        for archive in sorted((state / "archives").glob("*.deb")):
            # the machine's own has the loader of the machine's own programs
            if not archive.name.startswith("libc6_"):
                subprocess.run(["dpkg-deb", "--extract", archive, folder], check=True)


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
    settings = _settings(folder)
    (folder / "etc").mkdir()
    (folder / "status").touch()
    (folder / "etc" / "sources.list").write_text(source)
    settings |= {"APT::Architecture": architecture, "APT::Architectures": architecture}
    return _options(
        settings | {"Dir::Etc::sourcelist": folder / "etc" / "sources.list", "Dir::Etc::sourceparts": "/dev/null"}
    )


def _settings(folder: Path) -> dict[str, str | Path]:
    """Of an apt whose state is in the folder, where it may be read by who runs it and no other."""
    for name in ("lists/partial", "archives/partial"):
        (folder / name).mkdir(parents=True)
    return {
        "APT::Sandbox::User": "", "Debug::NoLocking": "1",
        "Dir::State": folder, "Dir::State::status": folder / "status", "Dir::State::Lists": folder / "lists",
        "Dir::Cache": folder, "Dir::Cache::Archives": folder / "archives",
    }  # fmt: skip


def _options(settings: dict[str, str | Path]) -> list[str]:
    return [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]


def _apt(arguments: list[str]) -> None:
    process = subprocess.run(["apt-get", "--quiet", *arguments], capture_output=True, text=True, check=False)
    if process.returncode:
        raise Missing(f"apt-get could not fetch Debian's packages: {process.stderr.strip()[-400:]}")
