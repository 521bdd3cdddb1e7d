"""A fresh service for each test, and the command line run against it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from amaas.api import transport
from amaas.cli.models import main
from amaas.client import Client
from click.testing import CliRunner, Result

from tests.client.fake_service import TOKEN, Fake
from tests.client.server import Server

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Away from a checkout whose deployment the tests could find; and no long pauses between attempts."""
    monkeypatch.chdir(tmp_path)
    for name in ("FORCE_COLOR", "NO_COLOR", "COLUMNS", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(transport, "PAUSE", 0.01)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def fake(server: Server) -> Fake:
    return server.fake


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.api_url, TOKEN) as client:
        yield client


@pytest.fixture
def run(server: Server) -> Run:
    """`amaas …` in this process; the service is named by the environment."""
    runner = CliRunner(env={"AMAAS_URL": server.api_url, "AMAAS_TOKEN": TOKEN})
    return lambda *arguments, **options: runner.invoke(main, list(arguments), catch_exceptions=False, **options)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder with a package, and files beside it that are none of it."""
    folder = tmp_path / "shoes"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"graph" * 30)
    (folder / "amaas.json").write_text(json.dumps({"name": "fashion", "golden": {"file": "checks.npz"}}))
    (folder / "checks.npz").write_bytes(b"numbers")
    (folder / "weights.data").write_bytes(bytes(range(250)) * 10)
    (folder / "train.py").write_text("print('not a part of it')")
    (folder / "old.bin").mkdir()
    return folder
