"""Each function is built from the modules that it reaches, and from no others."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import closure

FUNCTIONS = sorted(path.parent.name for path in (closure.ROOT / "functions").glob("*/app.py"))
# the app first: that is how Lambda does it
IMPORT_ALL = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_a_function_is_built_from_is_enough(name: str, tmp_path: Path) -> None:
    for file in closure.of_function(name):
        copy = tmp_path / file.relative_to(closure.ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
    modules = [f"functions.{name}.app", *sorted(closure.reached(f"functions.{name}.app"))]
    env = {"PATH": os.defpath, "PYTHONPATH": str(tmp_path), "AWS_DEFAULT_REGION": "us-east-1", "BUCKET": "b"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", IMPORT_ALL, *modules], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("inference", "shared.serving.tasks.tabular"),  # chosen by a task's name
        ("ingest", "shared.ingest.worker"),  # run as a process of its own
        ("registry", "shared.storage.s3"),  # imported within a function
    ],
)
def test_what_is_named_and_not_imported_is_reached(name: str, module: str) -> None:
    assert module in closure.reached(f"functions.{name}.app")


def test_fakes_and_other_functions_do_not_ship() -> None:
    for name in FUNCTIONS:
        reached = closure.reached(f"functions.{name}.app")
        assert "shared.storage.memory" not in reached
        assert not [module for module in reached if module.startswith("functions.") and module.split(".")[1] != name]


def test_a_change_in_one_room_leaves_other_functions_alone() -> None:
    """The authorizer and inference, whose cold starts callers wait for, hold nothing of jobs or of the checks."""
    for name in ("authorize", "inference", "publickey"):
        reached = closure.reached(f"functions.{name}.app")
        assert not [module for module in reached if module.startswith(("shared.jobs", "shared.ingest"))]
