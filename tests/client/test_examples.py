"""Examples of models: a folder is made once, and pushed once to a deployment."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from examples.models import __main__ as examples
from examples.models.kept import inputs, kept, note
from tests.client.gateway import Service

AMAAS = Path(sys.executable).with_name("amaas")


class Maker:
    """Writes one file, and counts how often. fails: after the file is begun."""

    def __init__(self) -> None:
        self.times, self.fails = 0, False

    def __call__(self, folder: Path) -> None:
        self.times += 1
        (folder / "model.onnx").write_bytes(b"graph" * self.times)
        if self.fails:
            raise KeyboardInterrupt


def test_a_folder_is_made_once_and_anew_when_what_it_is_made_of_changes(tmp_path: Path) -> None:
    make, folder = Maker(), tmp_path / "home" / "model"
    assert kept(folder, "a==1\n", make) == kept(folder, "a==1\n", make) == folder
    assert make.times == 1
    kept(folder, "a==2\n", make)
    assert make.times == 2 and (folder / "model.onnx").read_bytes() == b"graph" * 2
    assert [path.name for path in folder.iterdir()] == ["model.onnx"], "nothing is added to what is pushed"


def test_what_was_interrupted_is_made_again_and_what_was_there_stays(tmp_path: Path) -> None:
    make, folder = Maker(), tmp_path / "model"
    kept(folder, "a==1\n", make)
    make.fails = True
    with pytest.raises(KeyboardInterrupt):
        kept(folder, "a==2\n", make)
    assert (folder / "model.onnx").read_bytes() == b"graph" and note(folder).read_text() == "a==1\n"
    make.fails = False
    kept(folder, "a==2\n", make)
    assert (folder / "model.onnx").read_bytes() == b"graph" * 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "model.inputs"]


def test_what_a_folder_is_made_of_has_what_the_one_before_it_is_made_of(tmp_path: Path) -> None:
    before = kept(tmp_path / "before", inputs(["numpy"], [Path(examples.__file__)]), Maker())
    lines = inputs(["onnx"], [], before).splitlines()
    assert [line.partition("==")[0] for line in lines[:2]] == ["onnx", "numpy"]
    assert lines[2].startswith("examples/models/__main__.py ") and len(lines[2].split()[1]) == 64


def test_a_folder_is_pushed_once_to_each_deployment(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMAAS_URL", service.api_url)
    monkeypatch.setenv("AMAAS_TOKEN", service.tokens["ann"])
    folder, noted = tmp_path / "model", tmp_path / "tiny.pushed"
    make = Maker()

    def version() -> int:
        return int(examples.push("tiny", folder, noted, AMAAS)["version"])

    kept(folder, "a==1\n", make)
    assert [version(), version()] == [1, 1] and len(service.received("POST", "/models/tiny/uploads$")) == 1
    kept(folder, "a==2\n", make)
    assert [version(), version()] == [2, 2]
    told = json.loads(noted.read_text())
    told["state"]["upload_id"] = "0" * 11 + "-" + "0" * 16  # as of another deployment, whose version is another one
    noted.write_text(json.dumps(told))
    assert version() == 3


def test_a_push_that_fails_is_not_noted(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMAAS_URL", service.api_url)
    monkeypatch.setenv("AMAAS_TOKEN", service.tokens["ann"])
    folder, noted = tmp_path / "model", tmp_path / "tiny.pushed"
    kept(folder, "a==1\n", lambda partial: (partial / "model.onnx").write_bytes(b"bad") and None)
    with pytest.raises(SystemExit) as ended:
        examples.push("tiny", folder, noted, AMAAS)
    assert ended.value.code == 3 and not noted.exists()
    assert os.listdir(folder) == ["model.onnx"]
