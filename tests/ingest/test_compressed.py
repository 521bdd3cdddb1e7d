"""The gate takes what the steps after training make of a model; their golden sets hold on what is served."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from shared.ingest import supervisor
from shared.package import manifest
from tests.support import float_package
from training.compress import __main__ as command


# not int4: its tool needs a package that only the environment `training` has
@pytest.mark.parametrize("step", ["graph", "fp16", "int8", "dynamic"])
def test_a_compressed_package_is_accepted(step: str, tmp_path: Path) -> None:
    parent = float_package(tmp_path / "parent")
    rows = np.load(parent / "golden.npz")["input.image"]
    np.savez(tmp_path / "rows.npz", image=np.concatenate([rows, rows[:, :, ::-1], rows[..., ::-1]]))
    out = tmp_path / step
    assert command.main([step, str(parent), "--out", str(out), "--calibration", str(tmp_path / "rows.npz")]) == 0
    described = manifest.decode((out / "amaas.json").read_bytes())
    assert described.lineage is not None
    assert described.lineage.step == ("optimize" if step == "graph" else "quantize")
    files = {path.name: path for path in out.iterdir()}
    verdict = supervisor.check_model(files, json.loads((out / "amaas.json").read_bytes()))
    assert verdict.accepted, verdict.reason
    assert verdict.golden is not None and verdict.golden["passed"]
