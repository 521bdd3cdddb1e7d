"""What functions and layers are built from."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from shared.config import Config
from shared.ingest import pipeline
from shared.ingest.verdict import Limits
from shared.registry.log import Log
from shared.runtime import layout
from shared.serving import forms
from shared.storage.memory import MemoryStore
from shared.uploads import states
from shared.uploads.forms import File
from tests.cloud.template import ROOT, TEMPLATE, region
from tests.ingest.quantized import FORMS
from tools import build

__all__ = ["region"]  # a fixture


@pytest.mark.parametrize("lock", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda path: path.stem)
def test_locks_are_hashed_and_name_no_host(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    packages = [block for block in re.split(r"\n(?=\S)", text.strip()) if not block.startswith("#")]
    assert packages
    assert [block.splitlines()[0] for block in packages if "--hash=sha256:" not in block] == []


def test_the_layers_agree_with_what_is_tested() -> None:
    def pinned(lock: str) -> dict[str, str]:
        found = re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "requirements" / f"{lock}.txt").read_text(), re.MULTILINE)
        return dict(found)

    tested = pinned("dev")
    assert [name for lock in ("core", "runtime") for name, at in pinned(lock).items() if tested.get(name) != at] == []


@pytest.mark.parametrize("name", ["fashion-mnist", "of two forms"])
def test_the_models_layer_holds_the_bytes_that_a_push_will_be_served_as(name: str, tmp_path: Path) -> None:
    package = ROOT / "layers" / "models" / name
    if name == "of two forms":  # 8-bit weights: one form for processors that add up in 32 bits, one for all
        package = tmp_path / "package"
        package.mkdir()
        (package / "model.onnx").write_bytes(FORMS["matmul_integer"]().model.SerializeToString())
    store = MemoryStore()
    files = [File(path.name) for path in sorted(package.iterdir())]
    ticket = states.open_session(store, package.name, files, "test")
    for path in package.iterdir():
        store.put(ticket.keys[path.name], path.read_bytes())
    state = pipeline.ingest(Log(store), Config(bucket="unused"), ticket, Limits())
    assert state.state == "registered", state.reason
    version = Log(store).read(package.name).versions[1]
    folder = tmp_path / "layer"
    folder.mkdir()
    command = [sys.executable, "-m", "tools.models_layer", str(package), str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    wide = {"wide": version.files[forms.WIDE]} if name == "of two forms" else {}
    assert json.loads(done.stdout) == {"format": 1, "model": version.model, **wide}
    bodies = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {hashlib.sha256(body).hexdigest() for body in bodies.values()} == set(bodies)
    assert bodies.keys() == {version.model, *version.files.values()}
    assert layout.aligned(bodies[version.model]) is bodies[version.model]


def test_it_can_be_built_for_each_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    parameter = TEMPLATE["Parameters"]["Architecture"]
    assert set(parameter["AllowedValues"]) == set(build.PLATFORMS)
    monkeypatch.delenv("AMAAS_ARCHITECTURE", raising=False)
    assert build.platform() == build.PLATFORMS[parameter["Default"]]
    monkeypatch.setenv("AMAAS_ARCHITECTURE", "riscv64")
    with pytest.raises(SystemExit, match="choose one of x86_64, arm64"):
        build.platform()
