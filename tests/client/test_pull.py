"""`amaas pull`: the package that was pushed comes back, whole or not at all, and is pushed again as the same model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import pytest
from amaas import AmaasError, ApiError, Client
from amaas.api import pull
from onnx import numpy_helper

from shared.package import manifest
from shared.registry import blobs, versions
from shared.registry.log import Log
from shared.registry.state import Version
from tests.client.conftest import Run
from tests.registry.conftest import ANN
from tests.support import linear

ROWS = "a,b\n1,2\n3,4\n"
PACKAGE = {"model.onnx", "amaas.json", "rows.csv"}
MANIFEST = {
    "name": "sums",
    "task": "tabular",
    "preprocess": {"columns": [{"name": "a"}, {"name": "b", "missing": 2}], "reference": "rows.csv", "gaps": ["NA"]},
    "metrics": {"r2": 0.5},
    "golden": {"file": "golden.npz", "cases": [{"inputs": {"x": [[1, 2]]}, "outputs": {"y": [[5]]}}]},
}


def test_only_what_a_package_has_is_in_its_manifest() -> None:
    stored = {
        **MANIFEST,
        "version": 3,
        "state": "usable",
        "gate": {"edition": 9},
        "optional": [],
        "inputs": [],
        "format": 1,
        "card": None,
    }
    assert pull.package_manifest(stored) == {**MANIFEST, "golden": {"cases": MANIFEST["golden"]["cases"]}}  # type: ignore[index]
    assert "golden" not in pull.package_manifest({"golden": {"file": "golden.npz", "cases": []}})


def registered(log: Log, source: bytes, served: bytes, files: dict[str, bytes]) -> None:
    blob = {name: blobs.write(log.store, body) for name, body in files.items()}
    described = manifest.decode(json.dumps(MANIFEST).encode())
    version = Version(
        version=0,
        task="tabular",
        manifest=blobs.write(log.store, manifest.encode(described)),
        source=blobs.write(log.store, source),
        model=blobs.write(log.store, served),
        size=len(served),
        upload=f"u{len(files)}",
        files=blob,
    )
    versions.register(log, "sums", version, ANN)


def test_a_version_comes_back_as_the_package_that_it_was(client: Client, log: Log, tmp_path: Path) -> None:
    model = linear([[1.0], [2.0]])
    registered(log, model, model, {"rows.csv": ROWS.encode(), ".samples": b"made for serving"})
    done: list[tuple[int, int]] = []
    pulled = client.pull("sums", 1, tmp_path / "out", lambda *count: done.append(count))
    assert pulled == {"model": "sums", "version": 1, "folder": str(tmp_path / "out"), "files": sorted(PACKAGE)}
    assert {path.name for path in (tmp_path / "out").iterdir()} == PACKAGE
    assert (tmp_path / "out" / "model.onnx").read_bytes() == model
    assert (tmp_path / "out" / "rows.csv").read_text() == ROWS
    written = json.loads((tmp_path / "out" / "amaas.json").read_text())
    for member in ("task", "metrics", "golden"):
        assert member in written
    assert written["preprocess"]["gaps"] == ["NA"] and "gate" not in written
    assert done[-1] == (len(model) + len(ROWS),) * 2
    manifest.decode((tmp_path / "out" / "amaas.json").read_bytes(), check_names=True)


def test_a_model_whose_weights_were_beside_it_comes_as_one_file(client: Client, log: Log, tmp_path: Path) -> None:
    whole = linear([[1.0], [2.0]])
    onnx.save_model(
        onnx.load_from_string(whole),
        tmp_path / "split.onnx",
        save_as_external_data=True,
        location="w.data",
        size_threshold=0,
    )
    split = (tmp_path / "split.onnx").read_bytes()
    registered(log, split, whole, {})
    client.pull("sums", "1", tmp_path / "one")
    assert (tmp_path / "one" / "model.onnx").read_bytes() == whole
    registered(log, split, whole, {"w.data": (tmp_path / "w.data").read_bytes()})
    client.pull("sums", "2", tmp_path / "two")
    assert (tmp_path / "two" / "model.onnx").read_bytes() == split
    together = onnx.load(str(tmp_path / "two" / "model.onnx"))
    [weights], [expected] = together.graph.initializer, onnx.load_from_string(whole).graph.initializer
    assert numpy_helper.to_array(weights).tolist() == numpy_helper.to_array(expected).tolist()


def test_nothing_is_half_written(client: Client, log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = linear([[1.0], [2.0]])
    registered(log, model, model, {"rows.csv": ROWS.encode()})
    full = tmp_path / "full"
    full.mkdir()
    (full / "own").write_text("mine")
    with pytest.raises(AmaasError, match="not empty"):
        client.pull("sums", 1, full)
    real = pull.transport.download_blocks

    def changed(http: Any, url: str, name: str, size: int) -> Any:
        for block in real(http, url, name, size):
            yield block[:-1] + b"?" if name == "rows.csv" else block

    monkeypatch.setattr(pull.transport, "download_blocks", changed)
    with pytest.raises(AmaasError, match=r"rows\.csv came with other bytes"):
        client.pull("sums", 1, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir() if "cache" not in path.name) == ["full"]
    with pytest.raises(ApiError, match="9"):
        client.pull("sums", 9, tmp_path / "out")


def test_names_that_lead_elsewhere_are_refused(tmp_path: Path) -> None:
    file = {"name": "../x", "size": 1, "sha256": "0" * 64, "url": "http://127.0.0.1:1/"}
    with pytest.raises(AmaasError, match="no name"):
        pull.write({"files": [file], "served": file}, {}, tmp_path / "out")
    assert list(tmp_path.glob("out")) == []


def test_the_verb(run: Run, log: Log, tmp_path: Path) -> None:
    model = linear([[1.0], [2.0]])
    registered(log, model, model, {"rows.csv": ROWS.encode()})
    done = run("pull", "sums@1")
    assert (done.exit_code, done.stdout) == (0, "sums@1 is in sums: 3 files\n")
    assert run("pull", "sums@1").exit_code == 1
    assert json.loads(run("pull", "sums@1", "--out", "other", "--json").stdout)["folder"] == "other"
