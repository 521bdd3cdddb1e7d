"""What is no package and no ONNX is told from its name, before anything is sent, with what makes ONNX of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from amaas import AmaasError, Client

from tests.client.gateway import Service

TOLD = {
    "net.pt": r"torch\.onnx\.export",
    "NET.PTH": r"torch\.onnx\.export",
    "net.ckpt": r"torch\.onnx\.export",
    "net.hdf5": r"tf2onnx\.convert --keras",
    "saved_model.pb": r"tf2onnx\.convert --saved-model",
    "net.tflite": r"tf2onnx\.convert --tflite",
    "model.safetensors": "optimum-cli export onnx",
    "net.pdmodel": "paddle2onnx",
    "net.gguf": r"onnxruntime_genai\.models\.builder",
    "net.pmml": r"amaas push model\.joblib",
    "net.mlmodel": "by the library that it was made with",
    "net.7z": "unpack it, and push the file or the folder",
    "net.onnx.gz": "unpack it, and push the file or the folder",
    "net.PKL": "is a pickle, and reading one runs whatever code is in it",
}


@pytest.mark.parametrize("name", TOLD)
def test_a_file(client: Client, service: Service, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(AmaasError, match=TOLD[name]) as error:
        client.push(tmp_path / name)
    assert str(error.value).startswith(name) and not service.calls


@pytest.mark.parametrize("name", TOLD)
def test_a_folder_with_one(client: Client, service: Service, tmp_path: Path, name: str) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "README.md").write_text("# A model")
    (tmp_path / "net" / name).write_bytes(b"x")
    with pytest.raises(AmaasError, match=TOLD[name]):
        client.push(tmp_path / "net")
    assert not service.calls


def test_other_folders(client: Client, service: Service, tmp_path: Path) -> None:
    folder = tmp_path / "outer"
    (folder / "inner").mkdir(parents=True)
    with pytest.raises(AmaasError, match="the folder is empty"):
        client.push(folder / "inner")
    (folder / "notes.md").write_text("x")
    with pytest.raises(AmaasError, match=r"has no model\.onnx: put one into it, or push another folder"):
        client.push(folder)
    (folder / "inner" / "net.onnx").write_bytes(b"x")
    with pytest.raises(AmaasError, match=r"has no model\.onnx: push .*inner, which has one"):
        client.push(folder)
    (folder / "config.json").write_text('{"architectures": ["BertForMaskedLM"]}')
    (folder / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(AmaasError, match="export the model first, as by `optimum-cli export onnx"):
        client.push(folder)
    assert not service.calls


def test_what_is_neither_file_nor_folder(client: Client, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "net.onnx")
    with pytest.raises(AmaasError, match="is neither a file nor a folder"):
        client.push(tmp_path / "net.onnx")


@pytest.mark.parametrize("name", ["my net (1).onnx", "-x.onnx", "ünï.onnx", f"{'a' * 101}.onnx", ".onnx", "a..b.onnx"])
def test_a_file_that_no_model_can_be_called_like(client: Client, service: Service, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"graph")
    with pytest.raises(AmaasError, match=r"is what .* is called, and no model name: give one \(--model\)"):
        client.push(tmp_path / name)
    assert not service.calls
    assert client.push(tmp_path / name, "net")["model"] == "net"
