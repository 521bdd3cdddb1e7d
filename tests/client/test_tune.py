"""`amaas tune`: which sweep it starts, and what it prints of it. The sweep itself: tests/ops/test_tune.py."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from shared.registry.log import Log
from tests.client.conftest import Run
from tests.client.test_cli import answered
from tests.registry.conftest import push

SIZES = [
    {"memory_mb": 256, "calls": 0, "fits": False, "median_ms": None, "p95_ms": None, "per_1000": None}
    | {"start_ms": None, "used_mb": 200, "failure": "413: too large"},
    {"memory_mb": 1769, "calls": 30, "fits": True, "median_ms": 6.5, "p95_ms": 8.0, "per_1000": 0.0004}
    | {"start_ms": 321.0, "used_mb": 200, "failure": None},
]
ANSWER: dict[str, Any] = {
    "model": "m",
    "version": 2,
    "sizes": SIZES,
    "advice": {"cheapest": 1769, "fastest": 1769, "smallest": None},
    "not_known": ["the weather"],
    "prices": {"region": "nowhere-1", "date": "2026-01-31", "source": "a test", "currency": "USD"},
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose sweep answers at once, and keeps what it was called with."""
    bin = tmp_path / ".local" / "envs" / "dev" / "bin"
    bin.mkdir(parents=True)
    (bin / "python").symlink_to(sys.executable)
    (tmp_path / "ops").mkdir()
    (tmp_path / "ops" / "tune.py").write_text(
        "import json, pathlib, sys\n"
        "pathlib.Path('called').write_text(json.dumps(sys.argv[1:]))\n"
        f"print({json.dumps(json.dumps(ANSWER))} if sys.argv[1] == 'predicts' else sys.exit(1))\n"
    )
    (tmp_path / "x.json").write_text("{}")
    return tmp_path


def test_an_alias_is_swept_as_the_number_that_it_stands_for(run: Run, log: Log, checkout: Path) -> None:
    push(log, "m", 2)
    assert run("promote", "m", "2").exit_code == 0
    shown = run(
        "tune", "m", "x.json", "--function", "predicts", "--size", "256", "--size", "1769", "--repeat", "5"
    ).stdout
    assert json.loads((checkout / "called").read_text()) == [
        "predicts", "m@2", "x.json", "--sizes", "256", "1769", "--repeat", "5"
    ]  # fmt: skip
    assert "413: too large" in shown and "cheapest: 1769 MB" in shown and "smallest that fits: not known" in shown
    assert "not known: the weather" in shown and "InferenceMemory" in shown
    assert answered(run, "tune", "m@1", "x.json", "--function", "predicts") == ANSWER
    assert json.loads((checkout / "called").read_text()) == ["predicts", "m@1", "x.json"]


def test_a_sweep_that_fails_and_a_folder_that_is_no_checkout(run: Run, log: Log, checkout: Path) -> None:
    push(log, "m")
    failed = run("tune", "m", "x.json", "--function", "other")
    assert (failed.exit_code, "exit status 1" in failed.stderr, "operator" in failed.stderr) == (1, True, True)
    (checkout / ".local" / "envs" / "dev" / "bin" / "python").unlink()
    assert "sets it up" in run("tune", "m", "x.json", "--function", "other").stderr
    (checkout / "ops" / "tune.py").unlink()
    assert "needs a checkout" in run("tune", "m", "x.json", "--function", "other").stderr
