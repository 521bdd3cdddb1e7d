"""A stand-in for Amazon's base image, to try `make sam-local` on a machine that reaches no container registry.

    python -m tests.anywhere.lambda_image && make sam-local LAMBDA_IMAGE=amaas-test/lambda-python:3.11-x86_64

It is built from Debian's packages, under a name of its own: CPython 3.11, Amazon's runtime interface client and boto3,
laid out as in Lambda's image. Needs root on Debian 12 (amd64), and Docker.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAME = "amaas-test/lambda-python:3.11-x86_64"
PACKAGES = ["python3.11", "libstdc++6", "busybox-static", "ca-certificates"]
# needed only by the scripts that run when packages are installed; here they are unpacked
UNUSED = ("dpkg_", "tar_", "debconf_", "perl-base_")
UNUSED_FILES = ["usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/lib/python3.11/pydoc_data"]

BOOTSTRAP = """#!/bin/sh
# the order of Lambda: the function's own code, then its layers, then the runtime
export AWS_EXECUTION_ENV=AWS_Lambda_python3.11
export PYTHONPATH=/var/task:/opt/python/lib/python3.11/site-packages:/opt/python:/var/runtime
exec /usr/bin/python3.11 -m awslambdaric "$_HANDLER"
"""

SETTINGS = {
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "PATH": "/usr/local/bin:/usr/bin:/bin:/opt/bin",
    "LD_LIBRARY_PATH": "/var/runtime:/var/task:/var/task/lib:/opt/lib",
    "LAMBDA_TASK_ROOT": "/var/task",
    "LAMBDA_RUNTIME_DIR": "/var/runtime",
}


def build() -> None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise SystemExit("this image is built as root on Debian 12; elsewhere, let `make sam-local` pull Amazon's")
    print(f"building {NAME} from Debian's packages", flush=True)
    with tempfile.TemporaryDirectory(prefix="lambda-image-") as folder:
        root = Path(folder) / "root"
        _lay_out(root)
        _unpack(_download(Path(folder) / "apt"), root)
        _configure(root)
        _install_runtime(root)
        _compile(root)
        _import(root)


def _lay_out(root: Path) -> None:
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for name in ("dev/shm", "proc", "sys", "run", "root", "tmp", "opt", "var/task", "var/runtime", "etc/ssl/certs"):
        (root / name).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)


def _download(folder: Path) -> list[Path]:
    """The packages and all they depend on: with an empty list of installed packages, apt fetches the whole closure."""
    archives = folder / "archives"
    (archives / "partial").mkdir(parents=True)
    (folder / "status").touch()
    options = {
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder,
        "Debug::NoLocking": 1,
        "APT::Sandbox::User": "root",
        "APT::Install-Recommends": 0,
    }
    arguments = [f"-o{name}={value}" for name, value in options.items()]
    fetch = ["apt-get", "-qy", *arguments, "--download-only", "install", *PACKAGES]
    if not _quiet(*fetch):
        _apt_update()
        _run(*fetch)
    return [path for path in sorted(archives.glob("*.deb")) if not path.name.startswith(UNUSED)]


def _unpack(packages: list[Path], root: Path) -> None:
    excluded = [f"--exclude=./{path}" for path in UNUSED_FILES]
    for package in packages:
        content = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE)
        into = ["tar", "-C", str(root), "--keep-directory-symlink", "-xp", *excluded]
        subprocess.run(into, stdin=content.stdout, check=True)
        if content.wait():
            raise SystemExit(f"{package.name} cannot be unpacked")


def _configure(root: Path) -> None:
    """Write what the packages' own scripts would have written."""
    bundle = b"".join(path.read_bytes() for path in sorted(root.glob("usr/share/ca-certificates/mozilla/*.crt")))
    (root / "etc/ssl/certs/ca-certificates.crt").write_bytes(bundle)
    for name in ("python3", "python"):
        (root / "usr/bin" / name).unlink(missing_ok=True)
        (root / "usr/bin" / name).symlink_to("python3.11")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nsandbox:x:993:990::/tmp:/sbin/nologin\n")
    (root / "etc/group").write_text("root:x:0:\nsandbox:x:990:\n")
    (root / "etc/nsswitch.conf").write_text("hosts: files dns\n")
    _run("chroot", str(root), "/bin/busybox", "--install", "-s", "/bin")
    bootstrap = root / "var/runtime/bootstrap"
    bootstrap.write_text(BOOTSTRAP)
    bootstrap.chmod(0o755)


def _install_runtime(root: Path) -> None:
    command = [
        os.environ.get("UV", str(ROOT / ".local" / "uv" / "bin" / "uv")),
        "pip",
        "install",
        "--quiet",
        "--target",
        str(root / "var/runtime"),
    ]
    command += ["--python-version", "3.11", "--python-platform", "x86_64-manylinux_2_31", "--only-binary", ":all:"]
    _run(*command, "--constraints", str(ROOT / "requirements" / "sam.txt"), "awslambdaric", "boto3")


def _compile(root: Path) -> None:
    """Bytecode for the standard library and the runtime, or every new container would compile them again."""
    skip = r"/(idlelib|lib2to3|ensurepip|turtledemo|test|tests|tkinter)/"
    command = ["chroot", str(root), "python3.11", "-m", "compileall", "-q", "-j", "0", "-x", skip]
    _run(*command, "/usr/lib/python3.11", "/var/runtime")
    shutil.rmtree(root / "dev/shm")


def _import(root: Path) -> None:
    changes = ["--change", "ENV " + " ".join(f"{name}={value}" for name, value in SETTINGS.items())]
    changes += ["--change", "WORKDIR /var/task"]
    archive = subprocess.Popen(["tar", "-C", str(root), "--numeric-owner", "-c", "."], stdout=subprocess.PIPE)
    subprocess.run(["docker", "import", *changes, "-", NAME], stdin=archive.stdout, stdout=sys.stderr, check=True)
    if archive.wait():
        raise SystemExit("the image could not be packed")


def _apt_update() -> None:
    _run("apt-get", "-q", "update")


def _environment() -> dict[str, str]:
    return os.environ | {"DEBIAN_FRONTEND": "noninteractive"}


def _quiet(*command: str) -> bool:
    process = subprocess.run(command, env=_environment(), capture_output=True, stdin=subprocess.DEVNULL, check=False)
    return process.returncode == 0


def _run(*command: str) -> None:
    """Run a command. Raises SystemExit with its output if it fails."""
    process = subprocess.run(
        command,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if process.returncode:
        raise SystemExit(f"{process.stdout[-4000:]}\n{' '.join(command[:3])} … failed with {process.returncode}")


if __name__ == "__main__":
    build()
