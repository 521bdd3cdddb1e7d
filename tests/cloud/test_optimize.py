"""`amaas optimize` against the running gateway: binary tensors, the service's own time, versions and an alias."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from amaas.cli.app import main
from amaas.client import Client
from amaas.local import optimize
from click.testing import CliRunner

from tests.cloud.conftest import Cloud
from tests.support import float_package

pytestmark = pytest.mark.cloud

PACKAGE = Path(__file__).resolve().parents[2] / "layers" / "models" / "fashion-mnist"


@pytest.fixture
def client(cloud: Cloud) -> Client:
    return Client(cloud.access["api_url"], cloud.access["token"])


def test_binary_tensors_pass_the_gateway(client: Client) -> None:
    with np.load(PACKAGE / "golden.npz") as golden:
        got = client.infer_binary("fashion-mnist", {"image": golden["input.image"]}, outputs=["logits"])
        allowed = json.loads((PACKAGE / "amaas.json").read_text())["golden"]["atol"]
        np.testing.assert_allclose(got["logits"], golden["output.logits"], rtol=1e-3, atol=allowed)


def test_the_client_that_make_run_sets_up_can_measure() -> None:
    """In its own environment, which is not that of the tests."""
    python = PACKAGE.parents[2] / ".local" / "envs" / "client" / "bin" / "python"
    code = "import sys, pathlib, amaas.local.optimize as o; print(*o.golden_inputs(pathlib.Path(sys.argv[1])))"
    command = [python, "-c", code, PACKAGE]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "image\n"


def test_versions_are_registered_measured_and_offered(
    cloud: Cloud, client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(optimize, "TURNS", 4)
    package = float_package(tmp_path / "whole")
    client.push(package, "optimized")
    before = client.get_model("optimized")["aliases"]
    access = ["--url", cloud.access["api_url"], "--token", cloud.access["token"]]
    given = ["optimized", "--package", str(package), "--python", sys.executable, "--json", *access]
    given += ["--out", str(tmp_path / "out")]
    done = CliRunner().invoke(main, ["optimize", *given, "--", "--steps", "fp16", "dynamic"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["compared"] == "the model's own time"
    made = [row for row in found["versions"] if row["step"] != "parent"]
    assert made and all(row["version"] > found["from"] and row["round_trip_ms"] > row["latency_ms"] > 0 for row in made)
    assert client.get_model("optimized")["aliases"] == before
