"""A client that a generator makes of the API's description calls every operation of the service."""

from __future__ import annotations

import importlib
import io
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from api.document import document
from tests.cloud.generated import anything, console_service, operations, store
from tests.cloud.generated_arguments import OPERATIONS, Operation, filled
from tests.console import world

__all__ = ["anything", "console_service", "store"]  # fixtures
ROOT = Path(__file__).resolve().parents[2]
GENERATOR = ROOT / ".local" / "envs" / "generators" / "bin" / "openapi-python-client"
LEFT_OUT = ("Unsupported content type text/plain", "Unsupported content type text/csv")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ModuleType, str]]:
    """The generated package, and what the generator said."""
    folder = tmp_path_factory.mktemp("generated")
    (folder / "openapi.json").write_bytes(msgspec.json.encode(document()))
    command = [
        str(GENERATOR),
        "generate",
        "--path",
        "openapi.json",
        "--meta",
        "none",
        "--output-path",
        "generated_client",
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(folder))
    yield importlib.import_module("generated_client"), done.stdout + done.stderr
    sys.path.remove(str(folder))


def snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def module(made: ModuleType, operation: str) -> ModuleType:
    places = {path.stem: path for path in Path(str(made.__file__)).parent.glob("api/*/*.py")}
    path = places[snake(operation)]
    return importlib.import_module(f"{made.__name__}.api.{path.parent.name}.{path.stem}")


def body(calling: ModuleType, value: Any) -> Any:
    """An instance of the class that the generator made for an operation's body."""
    kinds = typing.get_args(typing.get_type_hints(calling.sync_detailed)["body"])
    kinds = kinds or (typing.get_type_hints(calling.sync_detailed)["body"],)
    classes = [kind for kind in kinds if hasattr(kind, "from_dict")]
    [kind] = [kind for kind in classes if hasattr(kind, "to_multipart") == ("file" in value)]
    if "file" not in value:
        return kind.from_dict(value)
    file = importlib.import_module(f"{calling.__name__.partition('.')[0]}.types").File
    return kind(**{**value, "file": file(io.BytesIO(value["file"]), "a.bin", "application/octet-stream")})


def test_every_operation_is_called_here() -> None:
    assert set(OPERATIONS) == operations()


def test_nothing_of_the_description_is_left_out(made: tuple[ModuleType, str]) -> None:
    package, said = made
    for operation in operations():
        assert module(package, operation)
    complaints = [line for line in said.splitlines() if line.startswith(("Unable", "Cannot", "Unsupported", "Failure"))]
    assert {line for line in complaints if line not in LEFT_OUT} == set()


def test_it_calls_every_operation(
    made: tuple[ModuleType, str], anything: str, console_service: world.ConsoleService
) -> None:
    package, _ = made
    client = package.AuthenticatedClient(anything, token=console_service.tokens["ann"], timeout=60)
    other = package.AuthenticatedClient(anything, token=console_service.tokens["bob"], timeout=60)
    names: dict[str, Any] = {"job": world.BATCH, "job_id": world.TRAINING}
    wrong: dict[str, Any] = {}
    for operation, told in OPERATIONS.items():
        try:
            answer = call(module(package, operation), told, other if told.by == "bob" else client, names)
        except Exception as error:
            wrong[operation] = repr(error)
            continue
        if answer.status_code != told.status or (told.parsed and answer.parsed is None):
            wrong[operation] = (int(answer.status_code), answer.content[:300])
            continue
        for name, member in told.keeps.items():
            names[name] = getattr(answer.parsed, member)
    assert not wrong, "\n".join(f"{operation}: {found}" for operation, found in wrong.items())


def test_it_predicts_by_a_form(
    made: tuple[ModuleType, str], anything: str, console_service: world.ConsoleService
) -> None:
    package, _ = made
    client = package.AuthenticatedClient(anything, token=console_service.tokens["ann"], timeout=60)
    image = (ROOT / "examples/images/fashion-0006-coat.png").read_bytes()
    answer = call(module(package, "predict"), Operation({"model": "fashion"}, {"file": image}), client, {})
    assert answer.status_code == 200, answer.content
    assert answer.parsed.predictions[0].label == "Coat"


def call(calling: ModuleType, told: Operation, client: Any, names: dict[str, Any]) -> Any:
    arguments = filled(told.arguments, names)
    if told.body is not None:
        arguments["body"] = body(calling, filled(told.body, names))
    return calling.sync_detailed(client=client, **arguments)
