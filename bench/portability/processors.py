"""A Python that runs as another x86-64 processor: QEMU's user mode, in a virtual environment of its own.

QEMU translates one process and needs no privileges. What it runs is the real interpreter; so that this one finds the
packages, and starts its children as the same processor, it is told to be `bin/python` of an environment whose `python`
is a script that starts QEMU again. 10 to 40 times slower than the processor at hand.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".local" / "processors"
NATIVE = "native"
PROCESSORS = {
    NATIVE: "the processor at hand",
    "Haswell": "AVX2, no AVX-512, no VNNI: what a cloud promises no more than",
    "Nehalem": "SSE4.2, no AVX",
}
NOISE = "TCG doesn't support requested feature"  # of features of a named processor that the translator leaves out
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


class Missing(Exception):
    """QEMU is not there, and could not be fetched."""


def qemu(architecture: str = "x86_64") -> Path:
    """QEMU's user mode for one architecture; installed when missing. Raises Missing."""
    names = (f"qemu-{architecture}", f"qemu-{architecture}-static")
    local = FOLDER / "debian" / "usr" / "bin"

    def present() -> Path | None:
        paths = [shutil.which(name) for name in names] + [shutil.which(name, path=str(local)) for name in names]
        return next((Path(path) for path in paths if path), None)

    for fetch in (None, _installed, _unpacked):
        if fetch:
            fetch()
        if path := present():
            return path
    raise Missing(
        f"QEMU's user mode ({names[0]}) is missing and could not be fetched: install Debian's package qemu-user, or "
        f"leave the other processors out with --processors {NATIVE}"
    )


def _installed() -> None:
    if os.geteuid() or not shutil.which("apt-get"):
        return
    install = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", "qemu-user"]
    if subprocess.run(install, **QUIET).returncode:  # type: ignore[call-overload]
        subprocess.run(["apt-get", "update", "--quiet"], **QUIET)  # type: ignore[call-overload]
        subprocess.run(install, **QUIET)  # type: ignore[call-overload]


def _unpacked() -> None:
    """Without root: Debian's package, unpacked and not installed; its static build needs no libraries."""
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        return
    for package in ("qemu-user-static", "qemu-user"):  # the static one is named so before Debian 13 only
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["apt-get", "download", package], cwd=folder, **QUIET)  # type: ignore[call-overload]
            for archive in Path(folder).glob("*.deb"):
                subprocess.run(["dpkg", "-x", archive, FOLDER / "debian"], **QUIET)  # type: ignore[call-overload]


def python(processor: str) -> Path:
    """A Python with the packages of the running one, as this processor. Raises Missing."""
    if processor == NATIVE:
        return Path(sys.executable)
    emulator = qemu()
    home = FOLDER / processor
    script = home / "bin" / "python"
    script.parent.mkdir(parents=True, exist_ok=True)
    real = Path(sys.executable).resolve()
    (home / "pyvenv.cfg").write_text(f"home = {real.parent}\ninclude-system-site-packages = false\n")
    for kind in ("purelib", "platlib"):
        packages = Path(sysconfig.get_path(kind))
        link = home / packages.relative_to(sys.prefix)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(packages)
    _write(script, f'#!/bin/sh\nexec "{emulator}" -cpu {processor} -0 "{script}" "{real}" "$@"\n')
    return script


def _write(script: Path, text: str) -> None:
    """At once: another run may be starting it."""
    with tempfile.NamedTemporaryFile("w", dir=script.parent, delete=False) as file:
        file.write(text)
    os.chmod(file.name, 0o755)
    os.replace(file.name, script)


def run(processor: str, arguments: list[str], timeout: float | None = None) -> subprocess.CompletedProcess[str]:
    """`python ARGUMENTS` from the repository's root, as this processor, on one thread of each library."""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONHOME", None)
    done = subprocess.run(
        [str(python(processor)), *arguments], cwd=ROOT, env=environment, capture_output=True, text=True,
        timeout=timeout, check=False,
    )  # fmt: skip
    done.stderr = "\n".join(line for line in done.stderr.splitlines() if NOISE not in line)
    return done
