"""A model as MLflow stores it, of the flavor ONNX: what its file MLmodel says of columns, and its input example.

MLflow itself is not needed. Nothing of the folder but data is read.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from amaas.api import describe, graph, huggingface
from amaas.api.graph import Tensor
from amaas.convert import golden
from amaas.convert.errors import NotConverted

Json = dict[str, Any]
FILE = "MLmodel"
MODEL, MANIFEST = "model.onnx", "amaas.json"
DATATYPES: dict[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
}


def package(folder: Path, derived: Path) -> tuple[dict[str, str], list[str]]:
    """Files by their names in the package; what is derived is written to a folder of its own. Raises NotConverted."""
    said = _read(folder / FILE)
    model = folder / _data(said, folder)
    found = graph.signature(model)
    if found is None:
        raise NotConverted(f"{model} is no ONNX model: log it again, with mlflow.onnx.log_model")
    columns = _columns(said)
    described = _described(columns, *found)
    (derived / MANIFEST).write_text(json.dumps(described, ensure_ascii=False), encoding="utf-8")
    files = {MODEL: model, MANIFEST: derived / MANIFEST, **huggingface.weights(model)}
    notes = [f"its task is {described['task']}, of what MLmodel says; labels are those of an amaas.json in the folder"]
    try:
        example = _example(said, folder, columns)
        arrays = _answered(model, example, described.get("postprocess", {}).get("output"))
        files[golden.FILE] = golden.write(derived, arrays)
    except NotConverted as error:
        notes.append(f"it goes without a golden set: {error}")
    return {name: str(path) for name, path in files.items()}, notes


def _read(path: Path) -> Json:
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError) as error:
        raise NotConverted(f"{path} is not valid YAML: {golden.first_line(error)}") from error
    if not isinstance(content, dict) or not isinstance(content.get("flavors"), dict):
        raise NotConverted(f"{path} names no flavors: log the model again with MLflow")
    return content


def _data(said: Json, folder: Path) -> str:
    """The graph's file. Raises NotConverted for other flavors, which are files of their own."""
    flavors = said["flavors"]
    onnx = flavors.get("onnx")
    if isinstance(onnx, dict) and isinstance(onnx.get("data"), str):
        name = str(onnx["data"])
        if Path(name).name != name or not (folder / name).is_file():
            raise NotConverted(f"{folder / FILE} names the graph {name[:200]!r}, which is not there: log it again")
        return name
    described = [flavor for flavor in flavors.values() if isinstance(flavor, dict)]
    names = [flavor.get("pickled_model") or flavor.get("data") for flavor in described]
    file = next((name for name in names if isinstance(name, str)), "its model's file")
    listed = ", ".join(map(str, flavors))
    raise NotConverted(f"{folder} has no ONNX, but {listed}: push {file} in it, or log the model with mlflow.onnx")


def _columns(said: Json) -> dict[str, str]:
    """Types of the signature's columns by name; none where it is of tensors, or absent."""
    signature = said.get("signature")
    try:
        listed = json.loads((signature or {}).get("inputs") or "[]")
    except (AttributeError, TypeError, ValueError) as error:
        raise NotConverted(f"the signature in {FILE} is damaged: log the model again") from error
    columns = [one for one in listed if isinstance(one, dict) and one.get("type") != "tensor"]
    if not all(one.get("name") for one in columns):
        return {}
    return {str(one["name"]): str(one.get("type")) for one in columns}


def _described(columns: dict[str, str], inputs: list[Tensor], outputs: list[Tensor]) -> Json:
    """amaas.json: rows, where the signature's columns are what the graph takes; else tensors."""
    table = _table(columns, inputs)
    scores = describe.scores_of(outputs)
    if not table or scores is None:
        return {"task": "tensor"}
    task = "tabular-regression" if scores.shape[1] == 1 else "tabular"
    after = {"postprocess": {"output": scores.name}} if task == "tabular" and outputs[0] != scores else {}
    if task == "tabular-regression" and outputs[0] != scores:
        return {"task": "tensor"}
    return {"task": task, "preprocess": {"columns": table}, **after}


def _table(columns: dict[str, str], inputs: list[Tensor]) -> list[Json]:
    """Columns side by side in the one input, or each in the input of its name; none where they do not fit."""
    if len(inputs) == 1 and len(inputs[0].shape) == 2 and inputs[0].shape[1] in (None, len(columns)):
        return [{"name": name, **_kind(kind, inputs[0])} for name, kind in columns.items()]
    by_name = {tensor.name: tensor for tensor in inputs}
    if set(by_name) != set(columns):
        return []
    return [{"name": name, "input": name, **_kind(kind, by_name[name])} for name, kind in columns.items()]


def _kind(kind: str, tensor: Tensor) -> Json:
    """What a column is declared as, by its type in the signature, and what the graph takes."""
    if tensor.datatype == "BYTES":
        return {"type": "text"}
    return {"booleans": True} if kind == "boolean" and tensor.datatype != "BOOL" else {}


def _example(said: Json, folder: Path, columns: dict[str, str]) -> Any:
    """Rows, or tensors by name. Raises NotConverted where there is none that is read."""
    info = said.get("saved_input_example_info")
    name = info.get("artifact_path") if isinstance(info, dict) else None
    if not isinstance(name, str) or Path(name).name != name or not (folder / name).is_file():
        raise NotConverted("it has no input example; log it with input_example=…")
    try:
        read = json.loads((folder / name).read_text(encoding="utf-8"))
    except ValueError as error:
        raise NotConverted(f"{name} is not valid JSON") from error
    if isinstance(read, dict) and set(read) == {"inputs"}:
        read = read["inputs"]
    if not (isinstance(read, dict) and {"columns", "data"} <= set(read)):
        return read
    if columns and list(read["columns"]) != list(columns):
        raise NotConverted(f"the columns of {name} are not the signature's")
    return {"columns": read["columns"], "rows": read["data"]}


def _answered(model: Path, example: Any, output: str | None) -> dict[str, np.ndarray]:
    """Arrays of a golden set. Raises NotConverted where the graph does not take the example."""
    session = golden.opened(model)
    outputs = session.get_outputs()
    name = output or next((one.name for one in outputs if "float" in one.type), outputs[0].name)
    try:
        fed = _fed(session.get_inputs(), example)
        [answered] = session.run([name], fed)
    except Exception as error:
        raise NotConverted(f"the graph does not take its input example: {golden.first_line(error)}") from error
    return {f"input.{one}": values for one, values in fed.items()} | {f"output.{name}": np.asarray(answered)}


def _fed(inputs: Any, example: Any) -> dict[str, np.ndarray]:
    """Rows side by side for one input, by column for several; or tensors by name."""
    if not isinstance(example, dict):
        return {inputs[0].name: _array(example, inputs[0])}
    if "rows" not in example:
        return {one.name: _array(example[one.name], one) for one in inputs}
    if len(inputs) == 1:
        return {inputs[0].name: _array(example["rows"], inputs[0])}
    by_column = dict(zip(example["columns"], zip(*example["rows"], strict=True), strict=True))
    return {one.name: _array(by_column[one.name], one).reshape(-1, *[1] * (len(one.shape) - 1)) for one in inputs}


def _array(values: Any, tensor: Any) -> np.ndarray:
    return np.array(values, DATATYPES.get(tensor.type, np.object_))
