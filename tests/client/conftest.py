"""A fresh service for each test, a client of it, and the command line run against it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from amaas.api import transport
from amaas.cli.app import main
from amaas.client import Client
from click.testing import CliRunner, Result

import functions.batch.app
import functions.logs.app
import functions.tokens.app
import functions.training.app
from shared import metrics
from shared.config import Config
from shared.registry.log import Log
from shared.storage.memory import MemoryStore
from shared.uploads import destinations
from tests.client.gateway import Service
from tests.functions.conftest import store
from tests.logged.memory import MemoryLogs
from tests.registry.conftest import push

__all__ = ["store"]  # a fixture

Run = Callable[..., Result]
MULTIPART, PART = 1000, 600  # bytes from which files are sent in parts, and of a part


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Away from a checkout whose deployment the tests could meet; and no long pauses between attempts."""
    monkeypatch.chdir(tmp_path)
    for name in ("FORCE_COLOR", "NO_COLOR", "COLUMNS", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(transport, "BACKOFF", 0.01)
    monkeypatch.setenv("AMAAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    monkeypatch.delenv("AMAAS_PROFILE", raising=False)


@pytest.fixture
def service(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    for app in (functions.batch.app, functions.tokens.app, functions.training.app):
        monkeypatch.setattr(app, "store", lambda: store)
        monkeypatch.setattr(app, "config", lambda: Config(bucket="amaas"))
    logs = MemoryLogs()
    monkeypatch.setattr(functions.logs.app, "logs", lambda: logs)
    monkeypatch.setattr(functions.batch.app, "log", lambda: Log(store))
    monkeypatch.setattr(destinations, "SINGLE_PUT", MULTIPART)
    monkeypatch.setattr(destinations, "PART", PART)
    # the service's log lines would be in the command's output: both are this process
    monkeypatch.setattr(metrics, "event", lambda *line: None)
    service = Service(store)
    service.logs = logs
    yield service
    service.close()


@pytest.fixture
def log(service: Service) -> Log:
    return service.log


@pytest.fixture
def three_versions(log: Log) -> None:
    """Of a model m."""
    push(log, "m", 3)


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    with Client(service.api_url, service.tokens["ann"]) as client:
        yield client


@pytest.fixture
def run(service: Service) -> Run:
    """`amaas …` in this process, by ann; the service is named by the environment."""
    runner = CliRunner(env={"AMAAS_URL": service.api_url, "AMAAS_TOKEN": service.tokens["ann"]})
    return lambda *arguments, **options: runner.invoke(main, list(arguments), catch_exceptions=False, **options)


@pytest.fixture
def amaas(service: Service) -> Run:
    """The same by anybody, at a wide terminal; the exit status has to be `code`."""

    def run(*arguments: str, by: str = "ann", code: int = 0) -> Result:
        env = {"AMAAS_URL": service.api_url, "AMAAS_TOKEN": service.tokens[by], "COLUMNS": "200"}
        result = CliRunner(env=env).invoke(main, list(arguments), catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result

    return run


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder with a package, and files beside it that do not belong to it."""
    folder = tmp_path / "shoes"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"graph" * 30)
    (folder / "amaas.json").write_text(json.dumps({"name": "fashion", "golden": {"file": "checks.npz"}}))
    (folder / "checks.npz").write_bytes(b"numbers")
    (folder / "weights.data").write_bytes(bytes(range(250)) * 10)
    (folder / "train.py").write_text("print('not a part of it')")
    (folder / "old.bin").mkdir()
    return folder
