"""Every way of a number from outside to a model: each takes one value and gives the element that the model gets."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from shared.errors import BadInput
from shared.ingest import golden
from shared.ingest.verdict import Limits, Refused
from shared.jobs.batch.rows import build_request
from shared.package.manifest import Manifest, Tensor
from shared.package.table import Column, Table
from shared.runtime import onnx
from shared.runtime.arrays import computable
from shared.runtime.datatypes import DATATYPES
from shared.serving import protocol
from shared.serving.protocol import large
from shared.values import csvfile, numbers
from shared.values.place import in_input
from shared.values.table import Reader
from tests.support import identity

Door = Callable[[str, Any], Any]
TABLE = Table(columns=[Column(name="a"), Column(name="b")])


def element(array: np.ndarray) -> Any:
    return computable(array).reshape(-1)[0].item()


def infer(datatype: str, value: Any) -> Any:
    """POST /v2/models/{m}/infer, with the value among others of its kind."""
    tensor = {"name": "x", "datatype": datatype, "shape": [2], "data": [value, value]}
    parsed = protocol.parse(json.dumps({"inputs": [tensor]}).encode(), {})
    return element(protocol.feeds(parsed, [Tensor("x", datatype, [-1])])["x"])


def infer_large(datatype: str, value: Any) -> Any:
    """The same of a large body, whose numbers never become objects of Python."""
    tensor = {"name": "x", "datatype": datatype, "shape": [2], "data": [value, value]}
    body = json.dumps({"inputs": [tensor]}).encode()
    members = large.read_members(body) or json.loads(body)
    return element(numbers.from_json(members["inputs"][0]["data"], datatype, in_input("x")))


def mixed(datatype: str, value: Any) -> Any:
    """In a list with a fraction's form of 1, and one that is nested."""
    return element(numbers.from_json([[value], [1.0]], datatype, in_input("x")))


def row(datatype: str, value: Any) -> Any:
    """POST /models/{m}/predict with a row as an object."""
    rows = Reader(TABLE).rows([{"a": value, "b": 1}])
    return element(Reader(TABLE).feeds(rows, [Tensor("x", datatype, [-1, 2])])["x"])


def listed(datatype: str, value: Any) -> Any:
    rows = Reader(TABLE).rows([[value, 1]])
    return element(Reader(TABLE).feeds(rows, [Tensor("x", datatype, [-1, 2])])["x"])


def csv(datatype: str, value: Any) -> Any:
    """POST /models/{m}/predict with a CSV; a batch job's rows are read by the same reader."""
    columns, lines = csvfile.read(f"a,b\n{value},1\n".encode())
    rows = Reader(TABLE).rows([dict(zip(columns, line, strict=True)) for line in lines])
    return element(Reader(TABLE).feeds(rows, [Tensor("x", datatype, [-1, 2])])["x"])


def batch_csv(datatype: str, value: Any) -> Any:
    """A batch job's CSV for a model of tensors."""
    manifest = Manifest(name="m", task="tensor", inputs=[Tensor("x", datatype, [-1])])
    body, _ = build_request(csvfile.row(f"{value}\n".encode(), ["x"]), manifest)
    return element(numbers.from_json(json.loads(body)["inputs"]["x"], datatype, in_input("x")))


def golden_case(datatype: str, value: Any) -> Any:
    """A golden set's case in amaas.json, on both of its sides."""
    case = {"inputs": {"x": [value, value]}, "outputs": {"y": [value, value]}}
    return _golden(datatype, {"cases": [case]}, {})


def _golden(datatype: str, declared: dict[str, Any], files: dict[str, int]) -> Any:
    session = onnx.load(identity(DATATYPES[datatype].onnx, ["N"]))
    try:
        [case] = golden.cases(session, files, declared, Limits())
    except Refused as refused:
        raise BadInput(str(refused)) from refused
    assert element(case.inputs["x"]) == element(case.outputs["y"])
    return element(case.inputs["x"])


OF_JSON = [infer, infer_large, mixed, row, listed, golden_case]
OF_TEXT = [csv, batch_csv]
