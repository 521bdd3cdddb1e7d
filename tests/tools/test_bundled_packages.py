"""`make run` on a bucket of before: bundled packages that were renewed since."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from local import publish


def test_packages_of_which_no_version_was_made_are_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = {}
    for name in ("kept", "renewed", "unknown"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.onnx").write_bytes(name.encode())
        sources[name] = [hashlib.sha256(name.encode()).hexdigest()]
    sources["kept"].insert(0, "0" * 64)  # a later version, of something else
    sources["renewed"] = ["0" * 64]
    asked: list[str] = []

    def call(access: publish.Access, method: str, path: str) -> tuple[int, dict[str, Any]]:
        asked.append(path)
        name = path.split("/")[2]
        versions = [{"version": number, "source": source} for number, source in enumerate(sources[name], 1)]
        return (404, {"error": "no such model"}) if name == "unknown" else (200, {"versions": versions})

    monkeypatch.setattr(publish, "MODELS", tmp_path)
    monkeypatch.setattr(publish, "call", call)
    assert publish.renewed({}) == ["renewed"]
    assert len(asked) == 3
