"""docs/bring-a-model.md: its examples run, and what `amaas push --print` is said to print is what it prints."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from amaas.convert import packages

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "bring-a-model.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(
    r"```python\n(.*?)```\n\n```sh\namaas push (\S+)[^\n]* --print\n```\n\n```json\n(.*?)```", re.DOTALL
)
EXAMPLES = EXAMPLE.findall(PAGE)


@pytest.mark.parametrize(("code", "name", "printed"), EXAMPLES, ids=[name for _, name, _ in EXAMPLES])
def test_an_example_is_true(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, name: str, printed: str
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(code, name, "exec"), {})
    files, _ = packages.of_a_model(tmp_path / name, tmp_path, None)
    assert json.loads(Path(files["amaas.json"]).read_text()) == json.loads(printed)
    assert "golden.npz" in files


def test_each_kind_has_one() -> None:
    assert [name.partition(".")[2] for _, name, _ in EXAMPLES] == ["joblib", "joblib", "txt", "json"]
