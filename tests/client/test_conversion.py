"""What becomes of models of other libraries before anything of these is needed: what is asked, refused and advised."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
from amaas import AmaasError
from amaas.api import conversion, package

from tests.client.conftest import Run
from tests.client.gateway import Service


def pushed(path: Path, **options: bool | Path) -> None:
    with package.opened(path, **options):  # type: ignore[arg-type]
        raise AssertionError("it was opened")


def test_a_pickle_is_read_only_by_who_trusts_it(run: Run, service: Service, tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(1))
    done = run("push", "model.pkl")
    assert done.exit_code == 1 and "reading one runs whatever code is in it" in done.stderr
    assert "--trust-pickle" in done.stderr and done.stderr.count("\n") == 1 and not service.calls


@pytest.mark.parametrize(
    ("name", "content", "extra"),
    [
        ("model.joblib", b"x", "sklearn"),
        ("model.json", b'{"learner": {}}', "boost"),
        ("model.ubj", b"{L\0learner", "boost"),
        ("model.txt", b"tree\nversion=v4", "boost"),
    ],
)
def test_the_extra_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, extra: str
) -> None:
    monkeypatch.setattr(conversion, "find_spec", lambda name: None)
    monkeypatch.setattr(conversion, "_of_checkout", lambda: None)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(
        AmaasError, match=rf"^to convert {name} takes \w+: in a checkout, .*pip install './client\[{extra}\]'$"
    ):
        pushed(tmp_path / name, trust_pickle=True)


def test_the_environment_of_the_checkout_converts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `make converters` made, found from a folder below it; a program stands for its Python here."""
    made = tmp_path / ".local" / "envs" / "converters"
    (made / "bin").mkdir(parents=True)
    (made / ".ready").touch()
    python = made / "bin" / "python"
    python.write_text('#!/bin/sh\necho \'{"error": "asked the one of the checkout"}\'\n')
    python.chmod(0o755)
    monkeypatch.setattr(conversion, "__file__", str(tmp_path / "client" / "conversion.py"))
    monkeypatch.setattr(conversion, "find_spec", lambda name: None)
    (tmp_path / "model.joblib").write_bytes(b"x")
    with pytest.raises(AmaasError, match=r"^asked the one of the checkout$"):
        pushed(tmp_path / "model.joblib", trust_pickle=True)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("model.json", "is no model of XGBoost"),
        ("notes.txt", "is no model of LightGBM"),
        ("net.pt", r"torch\.onnx\.export"),
        ("net.safetensors", "optimum-cli export onnx"),
        ("net.cbm", "format='onnx'"),
    ],
)
def test_other_files_are_refused_with_advice(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(AmaasError, match=said):
        pushed(tmp_path / name)


def test_a_folder_has_one_model(tmp_path: Path) -> None:
    for name in ("a.pkl", "b.pkl"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(AmaasError, match=r"has several models, a.pkl and b.pkl: push one of these files"):
        pushed(tmp_path)
    (tmp_path / "b.pkl").unlink()
    (tmp_path / "settings.json").write_text("{}")
    with pytest.raises(AmaasError, match=r"a.pkl is a pickle"):
        pushed(tmp_path)


def test_examples_are_of_conversions(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"graph")
    with pytest.raises(AmaasError, match="is not converted, which examples are for"):
        pushed(tmp_path / "model.onnx", examples=tmp_path / "rows.csv")


def test_a_process_that_fails_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversion, "PROGRAM", "amaas.none")
    with pytest.raises(AmaasError, match=r"model.pkl has ended what reads it \(.*No module named amaas.none\)"):
        conversion.run({}, tmp_path / "model.pkl")


def test_what_is_derived_is_sent_with_what_the_folder_says(
    run: Run, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def converted(path: Path, folder: Path, examples: Path | None, *, trust_pickle: bool) -> conversion.Converted:
        (folder / "model.onnx").write_bytes(b"graph")
        derived = {"task": "tabular", "labels": ["0", "1"], "preprocess": {"columns": [{"name": "age"}]}}
        (folder / "amaas.json").write_text(json.dumps(derived))
        files = {name: folder / name for name in ("model.onnx", "amaas.json")}
        return conversion.Converted(files, [f"{path.name}, {trust_pickle}, {examples and examples.name}"])

    monkeypatch.setattr(conversion, "convert", converted)
    folder = tmp_path / "churn"
    folder.mkdir()
    (folder / "model.pkl").write_bytes(b"x")
    (folder / "amaas.json").write_text(json.dumps({"labels": ["goes", "stays"]}))
    (tmp_path / "rows.csv").write_text("age\n1\n")
    done = run("push", "churn", "--trust-pickle", "--examples", "rows.csv", "--json")
    assert "amaas: model.pkl, True, rows.csv" in done.stderr and json.loads(done.stdout)["model"] == "churn"
    sent = json.loads(service.sent_files()["amaas.json"])
    assert sent["labels"] == ["goes", "stays"] and sent["preprocess"] == {"columns": [{"name": "age"}]}
