"""MLflow's registry as a Python library on SQLite. Runs in the peer's environment, next to MLflow: `python -m
bench.mlflow_client DATABASE` reads one JSON object per line and answers each with one."""

from __future__ import annotations

import dataclasses
import json
import sys
from importlib.metadata import version
from typing import Any

from bench.load import Client, Turn, turn

SOURCE = "s3://bench/model"


class Registry:
    """The benchmark's operations. Models: model-00000 and so on, with two versions each; `hot`, which all share."""

    def __init__(self, database: str) -> None:
        from mlflow import MlflowClient

        uri = f"sqlite:///{database}"
        self.client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        self.moves: dict[str, int] = {}

    def seed(self, models: list[str]) -> None:
        for model in models:
            self.client.create_registered_model(model)
            for _ in range(2):
                self.client.create_model_version(model, source=SOURCE)
            self.client.set_registered_model_alias(model, "production", "1")

    def turn(self, operation: str, names: list[str], number: int, seconds: float, most: int) -> Turn:
        """names: what each client works on; of `get`, all models to ask for. number: of clients."""
        if operation == "register":
            for name in names:
                self.client.create_registered_model(name)
        return turn([getattr(self, operation)(names, n) for n in range(number)], seconds, most)

    def register(self, names: list[str], number: int) -> Client:
        return lambda n: self.client.create_model_version(names[number], source=SOURCE) and None

    def move(self, names: list[str], number: int) -> Client:
        return lambda n: self._move(names[number], "production")

    def contend(self, names: list[str], number: int) -> Client:
        return lambda n: self._move(names[0], f"client-{number}")

    def get(self, names: list[str], number: int) -> Client:
        return lambda n: self.client.get_model_version_by_alias(names[n % len(names)], "production") and None

    def page(self, names: list[str], number: int) -> Client:
        return lambda n: self.client.search_registered_models(max_results=100) and None

    def _move(self, name: str, alias: str) -> None:
        count = self.moves[name + alias] = self.moves.get(name + alias, 0) + 1
        self.client.set_registered_model_alias(name, alias, str(1 + count % 2))


def main() -> None:
    registry = Registry(sys.argv[1])
    print(json.dumps({"mlflow": version("mlflow")}), flush=True)
    for line in sys.stdin:
        asked: dict[str, Any] = json.loads(line)
        answer: dict[str, Any] = {}
        if "seed" in asked:
            registry.seed(asked["seed"])
        else:
            answer = dataclasses.asdict(registry.turn(**asked))
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
