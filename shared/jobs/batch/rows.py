"""Turns a row of a table into a request of the model's task."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.errors import BadInput
from shared.package.manifest import Manifest, Tensor
from shared.package.tasks import TENSOR
from shared.values import cells


def build_request(row: dict[str, Any], manifest: Manifest, decimal: str = ".") -> tuple[bytes, str]:
    """Body and content type for one row: column → value, as text where it comes from CSV. Raises BadInput.

    decimal: what stands before the fractions of tensors that are text; a table's numbers are read by its columns.

    A single column of bytes is the body itself, an image for instance. For the task tensor, columns are inputs by
    name, or together the one vector that the model takes. Any other task gets the row, or its only value, as input.
    """
    if len(row) == 1 and isinstance(only := next(iter(row.values())), bytes):
        return only, "application/octet-stream"
    if any(isinstance(value, bytes) for value in row.values()):
        raise BadInput("a column of bytes must be the only column: remove the others")
    if manifest.input_kind == "table":
        return msgspec.json.encode({"input": row}), "application/json"
    if manifest.served_task != TENSOR:
        only = next(iter(row.values())) if len(row) == 1 else row
        return msgspec.json.encode({"input": only}), "application/json"
    inputs = manifest.inputs + [tensor for tensor in manifest.optional if tensor.name in row]
    return msgspec.json.encode({"inputs": _tensors(row, inputs, decimal)}), "application/json"


def _tensors(row: dict[str, Any], inputs: list[Tensor], decimal: str) -> dict[str, Any]:
    if {tensor.name for tensor in inputs} <= set(row):
        return {tensor.name: _with_batch_dimension(row[tensor.name], tensor, decimal) for tensor in inputs}
    if len(inputs) == 1 and len(inputs[0].shape) == 2 and inputs[0].shape[1] in (-1, len(row)):
        [tensor] = inputs
        return {tensor.name: [[_convert(value, column, tensor.datatype, decimal) for column, value in row.items()]]}
    expected = ", ".join(f"{tensor.name} {tensor.shape}" for tensor in inputs)
    raise BadInput(
        f"the columns {list(row)[:20]} are neither the model's inputs nor one vector of them: name them after the "
        f"inputs, which are {expected}"
    )


def _with_batch_dimension(value: Any, tensor: Tensor, decimal: str) -> Any:
    """One value, or a nested list of values, nested to the tensor's rank: a batch of one."""
    typed = value if isinstance(value, list) else _convert(value, tensor.name, tensor.datatype, decimal)
    depth = _depth(typed)
    for _ in range(max(0, len(tensor.shape) - depth)):
        typed = [typed]
    return typed


def _depth(value: Any) -> int:
    return 1 + (_depth(value[0]) if value else 0) if isinstance(value, list) else 0


def _convert(value: Any, column: str, datatype: str, decimal: str) -> Any:
    """A value for a tensor in JSON, whose rules the model's task holds it to; text, as CSV has it, by its datatype."""
    if datatype == "BYTES":
        return value if isinstance(value, str) else cells.text(value)
    if value is None:
        raise BadInput(f"column {column!r} is empty, the model takes {datatype}: fill it in")
    if not isinstance(value, str):
        return bool(value) if datatype == "BOOL" and value in (0, 1) else value
    try:
        return _truth(value) if datatype == "BOOL" else cells.number(value, decimal)
    except ValueError as error:
        raise BadInput(f"column {column!r} {error}: the model takes {datatype}") from error


def _truth(text: str) -> bool:
    try:
        return {**cells.TRUTHS, "1": True, "0": False}[text.strip().lower()]
    except KeyError:
        raise ValueError(f"is true or false, not {cells.shown(text)}") from None
