"""A Python that runs as another processor: QEMU's user mode, in a virtual environment of its own.

QEMU translates one process and needs no privileges. It runs a real interpreter under the name `bin/python` of an
environment whose `python` is a script that starts QEMU: so the interpreter finds its packages, and starts its children
as the same processor. 10 to 40 times slower than the processor at hand.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tools import debian
from tools.debian import Missing

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".local" / "processors"
NATIVE, ARM = "native", "neoverse-n1"
PROCESSORS = {
    NATIVE: "the processor at hand",
    "Haswell": "AVX2, no AVX-512, no VNNI: all that a cloud guarantees",
    "Nehalem": "SSE4.2, no AVX",
    ARM: "arm64 with dot products: Graviton 2, and Lambda's arm64",
}
USUAL = [NATIVE, "Haswell", "Nehalem"]
# QEMU before 10 ends ONNX Runtime for arm64 with a segmentation fault (tried: 7.2; not tried: 8 and 9)
ARM_QEMU = 10
ARM_PYTHON = "python3.11"
WARNING = "TCG doesn't support requested feature"  # about features of a named processor that the translator lacks


@dataclass(frozen=True)
class Emulated:
    """How to start an interpreter as another processor. packages: its site-packages."""

    command: list[str]
    interpreter: Path
    packages: list[Path]


def qemu(architecture: str = "x86_64") -> Path:
    """QEMU's user mode for one architecture; fetched when missing. Raises Missing."""
    name = f"qemu-{architecture}"
    if path := shutil.which(name) or shutil.which(f"{name}-static"):
        return Path(path)
    if not os.geteuid() and shutil.which("apt-get"):
        install = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", "qemu-user"]
        for command in (install, ["apt-get", "update", "--quiet"], install):
            subprocess.run(command, capture_output=True, check=False)
            if path := shutil.which(name):
                return Path(path)
    try:
        return newest_qemu(architecture)
    except Missing as error:
        raise Missing(
            f"QEMU's user mode ({name}) is missing and could not be fetched: install Debian's package qemu-user, or "
            f"omit the other processors with --processors {NATIVE} ({error})"
        ) from error


def newest_qemu(architecture: str) -> Path:
    """Debian 13's static build, unpacked into a folder. Raises Missing."""
    folder = debian.unpacked(FOLDER / "qemu", _debian_name(), "trixie", ["qemu-user"])
    return folder / "usr" / "bin" / f"qemu-{architecture}"


def _debian_name() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]


def emulated(processor: str) -> Emulated:
    """Raises Missing."""
    if processor == ARM:
        return _arm64()
    if os.uname().machine != "x86_64":
        raise Missing(f"{processor} is emulated on x86-64 machines only: omit it")
    packages = [Path(sysconfig.get_path(kind)) for kind in ("purelib", "platlib")]
    return Emulated([str(qemu()), "-cpu", processor], Path(sys.executable).resolve(), packages)


def _arm64() -> Emulated:
    """Debian's Python for arm64, with the packages of the layers of a deployment."""
    emulator = shutil.which("qemu-aarch64")
    if not emulator or _version(emulator) < ARM_QEMU:
        emulator = str(newest_qemu("aarch64"))
    names = [f"{ARM_PYTHON}-minimal", f"lib{ARM_PYTHON}-stdlib", "libstdc++6"]
    root = debian.unpacked(FOLDER / "arm64", "arm64", "bookworm", names)
    packages = root / "packages"
    if not (packages / ".ready").exists():
        target = ["--target", str(packages), "--python-platform", "aarch64-manylinux_2_31"]
        locks = [f"--requirements=requirements/{name}.txt" for name in ("core", "runtime")]
        uv = os.environ.get("UV") or shutil.which("uv") or str(ROOT / ".local" / "uv" / "bin" / "uv")
        version = ["--python-version", ARM_PYTHON.removeprefix("python")]
        install = [uv, "pip", "install", "--quiet", "--no-deps", "--require-hashes", *target, *version, *locks]
        subprocess.run([*install, "--only-binary", ":all:"], cwd=ROOT, check=True)
        (packages / ".ready").touch()
    command = [emulator, "-L", str(root), "-cpu", ARM]
    return Emulated(command, root / "usr" / "bin" / ARM_PYTHON, [packages])


def _version(emulator: str) -> int:
    """QEMU's major version; 0 if its output has none."""
    text = subprocess.run([emulator, "--version"], capture_output=True, text=True, check=False).stdout
    number = re.search(r"version (\d+)\.", text)
    return int(number[1]) if number else 0


def python(processor: str) -> Path:
    """A Python with the packages that serve, as this processor. Raises Missing."""
    if processor == NATIVE:
        return Path(sys.executable)
    machine = emulated(processor)
    home = FOLDER / f"{processor}-{Path(sys.prefix).name}"  # each environment has its own packages
    script = home / "bin" / "python"
    script.parent.mkdir(parents=True, exist_ok=True)
    (home / "pyvenv.cfg").write_text(f"home = {machine.interpreter.parent}\ninclude-system-site-packages = false\n")
    version = machine.interpreter.name if processor == ARM else f"python{sysconfig.get_python_version()}"
    link = home / "lib" / version / "site-packages"
    link.mkdir(parents=True, exist_ok=True)
    (link / "packages.pth").write_text("".join(f"import site; site.addsitedir({str(p)!r})\n" for p in machine.packages))
    command = " ".join(f'"{part}"' for part in machine.command)
    _write(script, f'#!/bin/sh\nexec {command} -0 "{script}" "{machine.interpreter}" "$@"\n')
    return script


def _write(script: Path, text: str) -> None:
    """Atomically: another run may be starting the script."""
    with tempfile.NamedTemporaryFile("w", dir=script.parent, delete=False) as file:
        file.write(text)
    os.chmod(file.name, 0o755)
    os.replace(file.name, script)


def run(processor: str, arguments: list[str], timeout: float | None = None) -> subprocess.CompletedProcess[str]:
    """`python ARGUMENTS` from the repository's root, as this processor, on one thread of each library."""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONHOME", None)
    environment.pop("PYTHONPATH", None)
    process = subprocess.run(
        [str(python(processor)), *arguments], cwd=ROOT, env=environment, capture_output=True, text=True,
        timeout=timeout, check=False,
    )  # fmt: skip
    process.stderr = "\n".join(line for line in process.stderr.splitlines() if WARNING not in line)
    return process
