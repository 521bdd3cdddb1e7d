"""A row of a table as the request that a model's task takes."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

import msgspec

from shared.errors import BadInput
from shared.package.manifest import Manifest, Tensor
from shared.package.tasks import TENSOR


def request(row: dict[str, Any], manifest: Manifest) -> tuple[bytes, str]:
    """Body and content type for one row: column → value, as text where it comes from CSV. Raises BadInput.

    A single column of bytes is the body itself, an image say. For tensors, columns are inputs by their names, or all
    together the one vector that the model takes. Any other task gets the row as its input, or the only value in it.
    """
    if len(row) == 1 and isinstance(only := next(iter(row.values())), bytes):
        return only, "application/octet-stream"
    if any(isinstance(value, bytes) for value in row.values()):
        raise BadInput("a column of bytes has to be the only one: leave the others out")
    if manifest.input_kind == "table":
        return msgspec.json.encode({"input": row}), "application/json"
    if manifest.served_task != TENSOR:
        only = next(iter(row.values())) if len(row) == 1 else row
        return msgspec.json.encode({"input": only}), "application/json"
    inputs = manifest.inputs + [tensor for tensor in manifest.optional if tensor.name in row]
    return msgspec.json.encode({"inputs": _tensors(row, inputs)}), "application/json"


def _tensors(row: dict[str, Any], inputs: list[Tensor]) -> dict[str, Any]:
    if {tensor.name for tensor in inputs} <= set(row):
        return {tensor.name: _shaped(row[tensor.name], tensor) for tensor in inputs}
    if len(inputs) == 1 and len(inputs[0].shape) == 2 and inputs[0].shape[1] in (-1, len(row)):
        return {inputs[0].name: [[_value(value, column, inputs[0].datatype) for column, value in row.items()]]}
    wanted = ", ".join(f"{tensor.name} {tensor.shape}" for tensor in inputs)
    raise BadInput(
        f"the columns {list(row)[:20]} are neither the model's inputs nor one row of them: it takes {wanted}"
    )


def _shaped(value: Any, tensor: Tensor) -> Any:
    """One value, or a nested list of them, with the batch dimension around it."""
    typed = value if isinstance(value, list) else _value(value, tensor.name, tensor.datatype)
    depth = _depth(typed)
    for _ in range(max(0, len(tensor.shape) - depth)):
        typed = [typed]
    return typed


def _depth(value: Any) -> int:
    return 1 + (_depth(value[0]) if value else 0) if isinstance(value, list) else 0


def _value(value: Any, column: str, datatype: str) -> Any:
    if datatype == "BYTES":
        return value if isinstance(value, str) else str(value)
    if not isinstance(value, str):
        if value is None:
            raise BadInput(f"column {column!r} is empty, the model takes {datatype}")
        return value
    text = value.strip()
    try:
        if datatype == "BOOL":
            return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
        number = float(text) if datatype.startswith(("FP", "BF")) else int(text)
    except (KeyError, ValueError) as error:
        raise BadInput(f"column {column!r} holds {text[:40]!r}, the model takes {datatype}") from error
    if isinstance(number, float) and not math.isfinite(number):
        raise BadInput(f"column {column!r} holds {text[:40]!r}, which JSON cannot carry")
    return number


def of_csv(record: bytes, header: list[str]) -> dict[str, str]:
    """One record of a CSV file by its header. Raises BadInput."""
    fields = cells(record)
    if len(fields) != len(header):
        raise BadInput(f"the row has {len(fields)} fields, the header has {len(header)}")
    return dict(zip(header, fields, strict=True))


def cells(record: bytes) -> list[str]:
    try:
        lines = list(csv.reader(io.StringIO(record.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"the row is no CSV in UTF-8: {error}") from error
    if len(lines) != 1:
        raise BadInput("the row's quotes are not balanced")
    return lines[0]
