"""`amaas check`: the gate's own word on a package, before anything is sent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import amaas as package_of_the_client
import pytest
from amaas.local import gate

from tests.client.conftest import Run
from tests.client.gateway import Service
from tests.support import linear

ROOT = Path(__file__).resolve().parents[2]
TABLE = {"task": "tabular", "preprocess": {"columns": [{"name": "a"}, {"name": "b"}]}, "labels": ["no", "yes"]}


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate's code is this checkout's, and what it imports is in this environment."""
    monkeypatch.setattr(gate, "_place", lambda: gate.Place(sys.executable, [ROOT]))


def a_package(folder: Path, described: dict[str, object], model: bytes = b"") -> Path:
    folder.mkdir()
    (folder / "model.onnx").write_bytes(model or linear([[1.0, 0.0], [0.0, 1.0]]))
    (folder / "amaas.json").write_text(json.dumps(described))
    return folder


def test_a_package_that_would_be_registered(run: Run, service: Service, here: None, tmp_path: Path) -> None:
    cases = [{"inputs": {"x": [[1.0, 2.0]]}, "outputs": {"y": [[1.0, 2.0]]}}]
    a_package(tmp_path / "fine", {**TABLE, "golden": {"cases": cases}})
    done = run("check", "fine")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("fine would be registered: tabular, ")
    assert "golden set 1 cases, differing by 0 at most" in done.stdout and "input x FP32 [any, 2]" in done.stdout
    answer = json.loads(run("check", "fine", "--model", "other", "--json").stdout)
    assert answer["manifest"]["name"] == "other" and answer["manifest"]["labels"] == ["no", "yes"]
    assert not service.calls, "no service is asked"


@pytest.mark.parametrize(
    ("described", "model", "code"),
    [
        ({}, b"no graph", "not_onnx"),
        ({"task": "chairs"}, b"", "bad_manifest"),
        ({**TABLE, "preprocess": {"columns": [{"name": "a"}]}}, b"", "task_failed"),
        (
            {"golden": {"cases": [{"inputs": {"x": [[1.0, 2.0]]}, "outputs": {"y": [[9.0, 9.0]]}}]}},
            b"",
            "golden_mismatch",
        ),
        ({"task": "text-classification", "preprocess": {"tokenizer": "tokenizer.json"}}, b"", "bad_manifest"),
    ],
)
def test_a_package_that_would_be_rejected(
    run: Run, here: None, tmp_path: Path, described: dict[str, object], model: bytes, code: str
) -> None:
    a_package(tmp_path / "bad", described, model)
    done = run("check", "bad")
    assert done.exit_code == 3 and f"the package was rejected ({code}): " in done.stderr


def test_what_is_missing_is_said(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "site" / "lib" / "amaas"
    elsewhere.mkdir(parents=True)
    monkeypatch.setattr(package_of_the_client, "__file__", str(elsewhere / "__init__.py"))
    a_package(tmp_path / "fine", TABLE)
    done = run("check", "fine")
    assert done.exit_code == 1 and "pip install './client[check]'" in done.stderr
    monkeypatch.setattr(gate.sys, "platform", "darwin")
    assert "runs on Linux" in run("check", "fine").stderr


def test_the_code_of_a_checkout_is_taken_with_its_layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = tmp_path / "clone"
    function = clone / ".local" / "build" / "IngestFunction"
    for folder, module in ((clone, "shared"), (function, "shared"), (function, "onnx")):
        (folder / module).mkdir(parents=True)
        (folder / module / "__init__.py").touch()
    (clone / ".local" / "python").write_text(f"{sys.executable}\n3.11\n")
    monkeypatch.setattr(package_of_the_client, "__file__", str(clone / "client" / "amaas" / "__init__.py"))
    place = gate._place()
    assert [one.name for one in place.folders] == ["clone", "IngestFunction", "python", "python"]
    environment = {"PYTHONPATH": os.pathsep.join(map(str, place.folders))}
    program = "import onnx, shared; print(onnx.__file__); print(shared.__file__)"
    done = subprocess.run([place.python, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(function / "onnx" / "__init__.py"), str(clone / "shared" / "__init__.py")]


def test_a_gate_that_fails_itself_is_said(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "_place", lambda: gate.Place(sys.executable, [tmp_path]))
    a_package(tmp_path / "fine", TABLE)
    done = run("check", "fine")
    assert done.exit_code == 1 and "the check has failed itself" in done.stderr
