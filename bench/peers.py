"""MLflow's model registry under load: as a library, and behind its REST server. Both on SQLite files."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import servers
from bench.load import Client, Turn
from bench.subjects import Ask, Calls, fine, keep_alive


class MlflowRest(Calls):
    """`mlflow server` on a database that MlflowLibrary has seeded."""

    api = "/api/2.0/mlflow"

    def __init__(self, port: int, cpu: Callable[[], float]) -> None:
        super().__init__(keep_alive(port), cpu)

    def seed(self, models: list[str]) -> None:
        """The server came up on a database with the models in it."""

    def turn(self, operation: str, names: list[str], number: int, seconds: float, most: int) -> Turn:
        if operation == "register":
            ask, close = self.connect()
            for name in names:
                fine(ask("POST", f"{self.api}/registered-models/create", json.dumps({"name": name}).encode()))
            close()
        return super().turn(operation, names, number, seconds, most)

    def register(self, ask: Ask, names: list[str], number: int) -> Client:
        body = json.dumps({"name": names[number], "source": "s3://bench/model"}).encode()
        return lambda n: fine(ask("POST", f"{self.api}/model-versions/create", body))

    def move(self, ask: Ask, names: list[str], number: int) -> Client:
        return lambda n: self._point(ask, names[number], "production")

    def contend(self, ask: Ask, names: list[str], number: int) -> Client:
        return lambda n: self._point(ask, names[0], f"client-{number}")

    def get(self, ask: Ask, names: list[str], number: int) -> Client:
        alias = f"{self.api}/registered-models/alias?alias=production&name="
        return lambda n: fine(ask("GET", alias + names[n % len(names)], b""))

    def page(self, ask: Ask, names: list[str], number: int) -> Client:
        return lambda n: fine(ask("GET", f"{self.api}/registered-models/search?max_results=100", b""))

    def _point(self, ask: Ask, name: str, alias: str) -> None:
        body = {"name": name, "alias": alias, "version": str(self.next(f"{name}/{alias}"))}
        fine(ask("POST", f"{self.api}/registered-models/alias", json.dumps(body).encode()))


class MlflowLibrary:
    """MLflow's client on SQLite in a process of its own, in the environment that has MLflow."""

    def __init__(self, environment: Path, database: Path, log: Path) -> None:
        command = [str(environment / "bin" / "python"), "-m", "bench.mlflow_client", str(database)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.server = servers.Server(command, log, cwd=servers.ROOT, env=servers.mlflow_environment(), **pipes)
        self.version = self._read()["mlflow"]
        self.cpu = self.server.cpu

    def seed(self, models: list[str]) -> None:
        self._ask(seed=models)

    def turn(self, operation: str, names: list[str], number: int, seconds: float, most: int) -> Turn:
        return Turn(**self._ask(operation=operation, names=names, number=number, seconds=seconds, most=most))

    def _ask(self, **question: Any) -> dict[str, Any]:
        stdin = self.server.process.stdin
        assert stdin is not None
        stdin.write(json.dumps(question) + "\n")
        stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        stdout = self.server.process.stdout
        assert stdout is not None
        line = stdout.readline()
        if not line:
            raise SystemExit(f"the MLflow library ended:\n{self.server.log.read_text()[-2000:]}")
        found: dict[str, Any] = json.loads(line)
        return found
