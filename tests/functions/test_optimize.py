"""`amaas optimize`: the search is run for real, the functions register, answer and promote what it made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from amaas.cli.app import main
from amaas.cli.base import Context
from amaas.client import Client
from amaas.errors import AmaasError
from amaas.local import optimize
from click.testing import CliRunner, Result

from shared.storage.memory import MemoryStore
from tests.functions.service import connected
from tests.support import linear

ROOT = Path(__file__).resolve().parents[2]
ROWS = np.random.default_rng(0).normal(size=(8, 64)).astype(np.float32)


@pytest.fixture
def client(store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Called in a folder that is a checkout as far as the search needs one: what it leaves stays there."""
    for name in ("training", "shared"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    made = connected(store, monkeypatch)
    monkeypatch.setattr(Context, "client", lambda self: made)
    monkeypatch.setattr(made, "close", lambda: None)  # the verb opens one for each part of its work
    monkeypatch.setattr(optimize, "TURNS", 4)
    return made


@pytest.fixture
def package(client: Client, tmp_path: Path) -> Path:
    folder = tmp_path / "wide"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(linear(np.random.default_rng(1).normal(size=(64, 64)).tolist()))
    running = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    np.savez(folder / "golden.npz", **{"input.x": ROWS, "output.y": running.run(None, {"x": ROWS})[0]})
    (folder / "amaas.json").write_text(json.dumps({"name": "wide", "golden": {"file": "golden.npz"}}))
    client.push(folder)
    client.promote("wide", 1)
    return folder


def run(package: Path, *more: str) -> Result:
    options = ["--package", str(package), "--python", sys.executable, *more]
    return CliRunner().invoke(main, ["optimize", "wide", *options], catch_exceptions=False)


def test_what_is_worth_it_is_registered_and_nothing_promoted(client: Client, package: Path) -> None:
    done = run(package, "--target", "size", "--json", "--", "--steps", "fp16", "dynamic")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout[done.stdout.index("{\n") :])  # the functions log beside it
    rows = {row["step"]: row for row in found["versions"]}
    assert found["from"] == rows["parent"]["version"] == 1 and found["compared"] == "the model's own time"
    assert len(rows) > 1
    for step in rows.keys() - {"parent"}:
        manifest = client.get_version("wide", rows[step]["version"])
        assert manifest["lineage"]["details"]["step"] == step
        assert manifest["lineage"]["parent"].startswith("wide@sha256:")
        assert rows[step]["latency_ms"] > 0 and rows[step]["speed"] in ("faster", "slower", "alike")
    assert client.get_model("wide")["aliases"]["production"]["version"] == 1
    before = len(client.get_model("wide")["versions"])
    again = run(package, "--target", "size", "--", "--steps", "fp16", "dynamic")
    assert f"fp16: is version {rows['fp16']['version']} already" in again.stderr
    assert len(client.get_model("wide")["versions"]) == before


def judged(monkeypatch: pytest.MonkeyPatch, *accuracy: float) -> None:
    """As if the search had been given data: accuracy of the parent, then of each step."""
    real = optimize.search

    def search(*given: Any) -> dict[str, Any]:
        report = real(*given)
        for row, measured in zip(report["steps"], accuracy, strict=True):
            row["validation_accuracy"] = measured
        return report

    monkeypatch.setattr(optimize, "search", search)


def test_the_best_is_promoted_on_request(
    client: Client, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optimize, "_verdict", lambda mine, theirs: "faster")
    judged(monkeypatch, 0.92, 0.916)
    done = run(package, "--promote", "--", "--steps", "fp16")
    assert done.exit_code == 0, done.output
    assert "production is now version 2" in done.stdout
    assert client.get_model("wide")["aliases"]["production"]["version"] == 2
    assert client.get_history("wide", 1)[0]["reason"].startswith("amaas optimize: fp16, ")
    assert ".local/optimized/wide/pareto.svg shows accuracy against size and latency" in done.stdout
    kept = tmp_path / ".local" / "optimized" / "wide"
    assert {row["step"] for row in json.loads((kept / "pareto.json").read_text())["steps"]} == {"parent", "fp16"}
    assert (kept / "pareto.svg").read_text().startswith(("<svg ", "<?xml "))


def test_nothing_is_promoted_whose_accuracy_is_not_known(
    client: Client, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optimize, "_verdict", lambda mine, theirs: "faster")
    done = run(package, "--promote", "--json", "--", "--steps", "fp16")
    assert done.exit_code == 1
    assert "accuracy was not measured, so nothing was promoted" in done.stderr and "Give --data" in done.stderr
    assert "`amaas promote wide 2` does" in done.stderr
    found = json.loads(done.stdout[done.stdout.index("{\n") :])
    assert found["best"]["version"] == 2 and found["best"]["drop"] is None and found["promoted"] is None
    assert client.get_version("wide", 2)["lineage"]["details"]["step"] == "fp16", "it is registered all the same"
    assert client.get_model("wide")["aliases"]["production"]["version"] == 1


def test_what_loses_too_much_is_not_promoted(client: Client, package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimize, "_verdict", lambda mine, theirs: "faster")
    judged(monkeypatch, 0.92, 0.91)
    done = run(package, "--promote", "--", "--steps", "fp16")
    assert done.exit_code == 0 and client.get_model("wide")["aliases"]["production"]["version"] == 1


def test_what_is_not_faster_is_not_promoted(client: Client, package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimize, "_verdict", lambda mine, theirs: "alike")
    done = run(package, "--promote", "--", "--steps", "fp16")
    assert done.exit_code == 0 and "no version is faster in service" in done.stdout
    assert client.get_model("wide")["aliases"]["production"]["version"] == 1


def test_an_alias_that_was_moved_meanwhile_stays(client: Client, package: Path) -> None:
    client.push(package)
    chosen = {"version": 2, "step": "fp16", "latency_ms": 1.0, "size": 1, "drop": 0.1}
    client.promote("wide", 2)
    with pytest.raises(AmaasError, match="does not point to version 1 alone"):
        optimize.promote(client, "wide", 1, chosen, "production")


def test_another_folder_is_refused(client: Client, package: Path) -> None:
    (package / "model.onnx").write_bytes(linear([[1.0]]))
    done = run(package)
    assert done.exit_code == 1 and "is not what version 1 of wide was made from" in done.stderr
    assert len(client.get_model("wide")["versions"]) == 1


def test_a_search_that_fails_registers_nothing(client: Client, package: Path, tmp_path: Path) -> None:
    done = run(package, "--", "--steps", "prune")
    assert done.exit_code == 1 and "the search ended with exit status 1" in done.stderr
    assert len(client.get_model("wide")["versions"]) == 1
    done = run(package, "--python", str(tmp_path / "none"))
    assert done.exit_code == 1 and "there is no training environment" in done.stderr


def test_paths_are_the_callers(client: Client, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The search runs in their folder, with the checkout's modules, and reads words as they are written."""
    asked: list[Any] = []

    def process(command: list[str], **options: Any) -> Any:
        asked.extend((command, options))
        return subprocess.CompletedProcess(command, 1)

    (below := tmp_path / "wine").mkdir()
    monkeypatch.chdir(below)
    monkeypatch.setattr(optimize.subprocess, "run", process)
    given = ["--data", "wine", "--calibration=rows.npz", "--teacher", "wine@2", "--steps", "fp16"]
    assert "the search ended with exit status 1" in run(package, *given[:2], "--", *given[2:]).stderr
    command, options = asked
    assert command[-len(given) :] == given and options.get("cwd") is None
    assert options["env"]["PYTHONPATH"].split(os.pathsep)[0] == str(tmp_path)
    assert run(package, "--out", "s3://bucket/out").exit_code == 2


def speed(*turns: float) -> optimize.Speed:
    return optimize.Speed([[10.0]] * len(turns), list(turns))


def test_faster_is_what_is_so_in_most_turns() -> None:
    rows: list[dict[str, Any]] = [{"version": n, "size": 9 - n, "step": str(n)} for n in (1, 2, 3, 4)]
    speeds = {1: speed(5, 5, 5, 5), 2: speed(4, 4, 4, 9), 3: speed(6, 6, 6, 1), 4: speed(4, 4, 6, 6)}
    assert optimize.compare(rows, 1, speeds) == "the model's own time"
    assert [row["speed"] for row in rows] == ["alike", "faster", "slower", "alike"]
    assert optimize.best(rows, "latency", 0.5)["version"] == 2
    assert optimize.best(rows, "size", 0.5)["version"] == 4  # the smallest that is not slower
    rows[0]["validation_accuracy"], rows[1]["validation_accuracy"] = 0.92, 0.91
    assert optimize.best(rows[:2], "latency", 0.5) is None
    speeds[2].served[0] = None  # other processes answered: only the round trips are left
    assert optimize.compare(rows, 1, speeds) == "round trips"
    assert {row["speed"] for row in rows} == {"alike"}


def test_what_a_version_was_made_from_is_registered_too() -> None:
    steps = [("parent", True), ("int8", False), ("prune", False), ("prune+int8", True)]
    rows = [{"step": step, "pareto": on} for step, on in steps]
    assert [row["step"] for row in optimize.worth_registering({"steps": rows})] == ["prune", "prune+int8"]
