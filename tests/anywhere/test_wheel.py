"""The client's wheel, installed alone: in an empty environment, from another folder, against a service over HTTP."""

from __future__ import annotations

import os
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.registry.log import Log
from tests.anywhere.conftest import CACHE, PASSED, ROOT
from tests.client.conftest import log, service, store
from tests.client.gateway import Service
from tests.client.models import PNG, served
from tools import interpreter

__all__ = ["log", "service", "store"]  # fixtures
UV = ROOT / ".local" / "uv" / "bin" / "uv"
ENVIRONMENT = {name: os.environ[name] for name in PASSED if name in os.environ} | {"UV_CACHE_DIR": CACHE}
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")  # Debian's: where a company's proxy is known, too
if CERTIFICATES.exists():
    ENVIRONMENT.setdefault("SSL_CERT_FILE", str(CERTIFICATES))
Amaas = Callable[..., subprocess.CompletedProcess[str]]
EVERY_MODULE = """
import importlib, pkgutil, sys, amaas
for module in pkgutil.walk_packages(amaas.__path__, "amaas."):
    if not module.name.endswith("__main__") and not module.name.startswith("amaas.convert."):  # which take the extras
        importlib.import_module(module.name)
print(amaas.__file__)
print(*sorted({name.partition(".")[0] for name in sys.modules} & {"shared", "functions", "numpy"}))
"""


def uv(*arguments: str | Path, at: Path) -> None:
    command = [str(UV), *map(str, arguments)]
    done = subprocess.run(
        command,
        cwd=at,
        env=ENVIRONMENT | {"HOME": str(at), "PATH": os.defpath},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("wheel")
    assert UV.exists(), f"{UV} is not there: make builds it, with the environments"
    uv("build", "--wheel", "--python", interpreter.base(), "--out-dir", place, ROOT / "client", at=place)
    [built] = place.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """The folder with the commands of an environment that has the wheel, and what it requires itself."""
    folder = wheel.parent / "an environment"
    uv("venv", "--python", interpreter.base(), folder, at=wheel.parent)
    pinned = ROOT / "requirements" / "client.txt"
    uv("pip", "install", "--python", folder / "bin" / "python", "-c", pinned, wheel, at=wheel.parent)
    return folder / "bin"


@pytest.fixture
def amaas(installed: Path, service: Service, tmp_path: Path) -> Amaas:
    """`amaas …` from a folder where there is nothing of the repository, with an environment of its own."""
    env = {
        "HOME": str(tmp_path),
        "PATH": os.defpath,
        "AMAAS_URL": service.api_url,
        "AMAAS_TOKEN": service.tokens["ann"],
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(installed / "amaas"), *arguments]
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)

    return run


def test_the_wheel_has_all_of_the_client_and_of_the_gate_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    files = [path for path in (ROOT / "client" / "amaas").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    gate = [path for path in (ROOT / "shared").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    expected = {path.relative_to(ROOT / "client").as_posix() for path in files}
    assert "amaas/py.typed" in expected and "amaas/amaas.schema.json" in expected
    assert names == expected | {f"amaas/_gate/{path.relative_to(ROOT).as_posix()}" for path in gate}


def test_every_module_is_imported_without_the_repository(installed: Path, tmp_path: Path) -> None:
    command = [str(installed / "python"), "-I", "-c", EVERY_MODULE]
    done = subprocess.run(command, cwd=tmp_path, env={}, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    place, others = done.stdout.splitlines()
    assert Path(place).is_relative_to(installed.parent) and others == ""


def test_it_says_what_it_can(amaas: Amaas) -> None:
    shown = amaas("--help")
    assert (shown.returncode, shown.stderr) == (0, "") and "predict" in shown.stdout
    assert amaas("nonsense").returncode == 2


def test_models_are_listed_pushed_and_called(amaas: Amaas, log: Log, tmp_path: Path) -> None:
    served(log)
    assert "digits" in amaas("ls").stdout
    (tmp_path / "shoe.png").write_bytes(PNG)
    predicted = amaas("predict", "digits", "shoe.png")
    assert (predicted.returncode, predicted.stderr) == (0, "") and "dog" in predicted.stdout
    (tmp_path / "net.onnx").write_bytes(b"graph")
    assert amaas("push", "net.onnx").stdout.startswith("net version 1 is registered, and is production")


def test_packages_are_checked_without_a_service(installed: Path, wheel: Path, tmp_path: Path) -> None:
    env = {"HOME": str(tmp_path), "PATH": os.defpath}
    command = [str(installed / "amaas"), "check", str(ROOT / "layers" / "models" / "wine")]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "pip install './client[check]'" in done.stderr
    uv("pip", "install", "--python", installed / "python", f"amaas[check] @ {wheel.as_uri()}", at=tmp_path)
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "wine would be registered: tabular" in done.stdout and "golden set 16 cases" in done.stdout


def test_without_a_service_it_says_what_to_do(installed: Path, tmp_path: Path) -> None:
    env = {"HOME": str(tmp_path), "PATH": os.defpath}
    done = subprocess.run(
        [installed / "amaas", "ls"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and done.stderr.startswith("amaas: no service is configured: `amaas login`")
