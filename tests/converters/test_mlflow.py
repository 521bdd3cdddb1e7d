"""Folders as MLflow 3.17 writes them, of the flavor ONNX, become packages that the gate takes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from amaas.api import package
from amaas.convert import mlflow_folder
from amaas.convert.__main__ import answer
from amaas.convert.errors import NotConverted
from amaas.errors import AmaasError
from amaas.local import gate
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parents[2]
FLOAT = TensorProto.FLOAT
COLUMNS = """signature:
  inputs: '[{"type": "double", "name": "age", "required": true}, {"type": "double",
    "name": "income", "required": true}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1,
    2]}}]'
  params: null
"""
TENSORS = """signature:
  inputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 2]}}]'
  params: null
"""
FLAVOR = """flavors:
  onnx:
    code: null
    data: model.onnx
    onnx_version: 1.23.2
  python_function:
    data: model.onnx
    loader_module: mlflow.onnx
mlflow_version: 3.17.2
saved_input_example_info:
  artifact_path: input_example.json
  pandas_orient: split
  type: dataframe
"""
ROWS = {"columns": ["age", "income"], "data": [[20.0, 1.0], [30.0, 2.0], [40.0, 3.0]]}


def vector(width: int = 2) -> bytes:
    """[N, 2] → [N, width]."""
    inputs = [helper.make_tensor_value_info("X", FLOAT, [None, 2])]
    outputs = [helper.make_tensor_value_info("probabilities", FLOAT, [None, width])]
    nodes = [helper.make_node("MatMul", ["X", "weights"], ["probabilities"])]
    return _model(nodes, inputs, outputs, np.arange(2 * width, dtype=np.float32).reshape(2, width))


def by_column() -> bytes:
    inputs = [helper.make_tensor_value_info(name, FLOAT, [None, 1]) for name in ("age", "income")]
    outputs = [helper.make_tensor_value_info("y", FLOAT, [None, 1])]
    nodes = [
        helper.make_node("Concat", ["income", "age"], ["both"], axis=1),
        helper.make_node("MatMul", ["both", "weights"], ["y"]),
    ]
    return _model(nodes, inputs, outputs, np.array([[1.0], [10.0]], np.float32))


def _model(nodes: list[Any], inputs: list[Any], outputs: list[Any], weights: np.ndarray) -> bytes:
    graph = helper.make_graph(nodes, "g", inputs, outputs, [numpy_helper.from_array(weights, "weights")])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(made.SerializeToString())


def written(folder: Path, said: str = FLAVOR + COLUMNS, example: Any = ROWS, model: bytes | None = None) -> Path:
    folder.mkdir()
    (folder / "MLmodel").write_text(said)
    (folder / "model.onnx").write_bytes(vector() if model is None else model)
    (folder / "input_example.json").write_text(json.dumps(example))
    return folder


def pushed(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The amaas.json that is sent, and the manifest that the gate makes of it."""
    with package.opened(folder) as files:
        manifest: dict[str, Any] = gate.check("m", files)["manifest"]
        return package.manifest(files), manifest


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "_place", lambda: gate.Place(sys.executable, [ROOT]))


def test_columns_by_name_and_the_example_as_golden_set(tmp_path: Path) -> None:
    folder = written(tmp_path / "churn")
    (folder / "amaas.json").write_text(json.dumps({"labels": ["leaves", "stays"]}))
    sent, registered = pushed(folder)
    assert sent == {
        "task": "tabular",
        "preprocess": {"columns": [{"name": "age"}, {"name": "income"}]},
        "labels": ["leaves", "stays"],
    }
    assert registered["gate"]["golden"]["cases"] == 3


def test_an_input_for_each_column(tmp_path: Path) -> None:
    sent, registered = pushed(written(tmp_path / "price", model=by_column()))
    columns = [{"name": "age", "input": "age"}, {"name": "income", "input": "income"}]
    assert sent == {"task": "tabular-regression", "preprocess": {"columns": columns}}
    assert registered["gate"]["golden"]["cases"] == 3


def test_a_column_of_booleans_takes_them(tmp_path: Path) -> None:
    said = FLAVOR + COLUMNS.replace('"double", "name": "age"', '"boolean", "name": "age"')
    sent, _ = pushed(written(tmp_path / "m", said, ROWS | {"data": [[True, 1.0], [False, 2.0]]}))
    assert sent["preprocess"] == {"columns": [{"name": "age", "booleans": True}, {"name": "income"}]}


def test_a_signature_of_tensors_is_the_task_tensor(tmp_path: Path) -> None:
    sent, registered = pushed(written(tmp_path / "m", FLAVOR + TENSORS, [[1.0, 2.0]]))
    assert sent == {"task": "tensor"} and registered["gate"]["golden"]["cases"] == 1


def test_a_package_of_its_author_s_is_sent_as_it_is(tmp_path: Path) -> None:
    folder = written(tmp_path / "m")
    (folder / "amaas.json").write_text(json.dumps({"task": "tensor", "tags": ["mine"]}))
    with package.opened(folder) as files:
        assert files["amaas.json"] == folder / "amaas.json"


@pytest.mark.parametrize(
    ("example", "said"),
    [
        ({"columns": ["income", "age"], "data": []}, "are not the signature's"),
        ([["old", "rich"]], "the graph does not take its input example"),
        (None, "the graph does not take its input example"),
    ],
)
def test_without_an_example_that_fits_there_is_no_golden_set(tmp_path: Path, example: Any, said: str) -> None:
    files, notes = mlflow_folder.package(written(tmp_path / "m", example=example), tmp_path)
    assert "golden.npz" not in files and said in notes[-1]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("flavors:\n  sklearn:\n    pickled_model: model.pkl\n", "has no ONNX, but sklearn: push model.pkl in it"),
        ("flavors: [", "is not valid YAML"),
        ("name: x\n", "names no flavors"),
        ("flavors:\n  onnx:\n    data: ../other.onnx\n", "which is not there"),
        (FLAVOR + "signature:\n  inputs: '['\n", "the signature in MLmodel is damaged"),
    ],
)
def test_other_folders_are_refused(tmp_path: Path, said: str, message: str) -> None:
    with pytest.raises(NotConverted, match=message):
        mlflow_folder.package(written(tmp_path / "m", said), tmp_path)


def test_the_command_says_it_in_a_line(tmp_path: Path) -> None:
    folder = written(tmp_path / "m", "flavors:\n  sklearn:\n    pickled_model: model.pkl\n")
    with pytest.raises(AmaasError, match="push model"), package.opened(folder):
        raise AssertionError("it was opened")


def test_weights_that_are_not_there_are_said(tmp_path: Path) -> None:
    made = onnx.load_from_string(vector())
    onnx.save_model(made, tmp_path / "big.onnx", save_as_external_data=True, location="big.data", size_threshold=0)
    folder = written(tmp_path / "m", model=(tmp_path / "big.onnx").read_bytes())
    request = {"kind": "mlflow", "path": str(folder), "folder": str(tmp_path)}
    assert "keeps weights in 'big.data', which is not there" in answer(request)["error"]
    (tmp_path / "big.data").rename(folder / "big.data")
    assert answer(request)["files"]["big.data"] == str(folder / "big.data")
