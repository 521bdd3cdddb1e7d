"""Rows → tensors: columns by name, missing values, categories, scaling."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from itertools import islice
from typing import Any

import numpy as np

from shared import budget
from shared.errors import BadInput, TooLarge
from shared.package import processing
from shared.package.manifest import Tensor
from shared.package.processing import Column
from shared.runtime.arrays import DTYPES
from shared.serving.inputs import request
from shared.serving.inputs.request import Inputs
from shared.serving.loaded import Loaded

Row = dict[str, Any]
MAX_ROWS = 50_000  # in a call
# bytes, at most: of a character of a CSV, in text of any alphabet and once more cut into values; of a value beside
# them, in a row by column; of a number that is made of it, in FP64, side by side with others, and as the model has it
CHARACTER, CELL, NUMBER = 8, 100, 40
CODES = "codes of "  # and a column's name: of parts of a loaded model, beside its files, which have no spaces


def declared(loaded: Loaded) -> processing.Table:
    """The package's columns: without them, a package has no task that takes rows."""
    table = loaded.manifest.preprocess
    assert isinstance(table, processing.Table)
    return table


def read(loaded: Loaded, body: bytes, content_type: str, query: dict[str, str]) -> Inputs:
    """The rows in a body: CSV with a header, or JSON with objects or lists. Raises BadInput, TooLarge, Unsupported."""
    plan = declared(loaded)
    if content_type == "text/csv":
        lines = parse_csv(body, plan, MAX_ROWS)
        if not lines:
            raise BadInput("the CSV has no rows: its first line names the columns, and one line for each row follows")
        return Inputs(lines, True, request.options(query))
    inputs = request.read(body, content_type, "table", query)
    return Inputs(rows(inputs.items, plan), inputs.many, inputs.options)


def reference(loaded: Loaded) -> list[Row]:
    """The package's typical rows, against which predictions are explained. Raises BadInput where there are none."""
    plan = declared(loaded)
    if plan.reference is None:
        raise BadInput("the package names no reference rows (preprocess.reference), against which a row is explained")
    typical = loaded.part(plan.reference, lambda raw: parse_csv(raw, plan))
    if not typical:
        raise BadInput(f"the package's reference rows in {plan.reference} are none: push it with some")
    return typical


def rows(values: list[Any], plan: processing.Table) -> list[Row]:
    """Rows as they are sent: objects by column, or lists in the columns' order. Raises BadInput."""
    names = {column.name: None for column in plan.columns}
    return [_row(value, names, number) for number, value in enumerate(values)]


def _row(value: Any, names: dict[str, None], number: int) -> Row:
    if isinstance(value, list) and len(value) == len(names):
        return dict(zip(names, value, strict=True))
    if isinstance(value, dict):
        strange = [name[:100] for name in value if name not in names]
        if not strange:
            return value
        raise BadInput(
            f"row {number} has the columns {strange[:10]}, which the model lacks: it takes {list(names)[:50]}"
        )
    raise BadInput(f"row {number} must be an object with, or a list of, {len(names)} columns: {list(names)[:50]}")


def parse_csv(text: bytes, plan: processing.Table, most: int | None = None) -> list[Row]:
    """The rows of a CSV file whose first line names the columns. Raises BadInput, and TooLarge beyond `most` rows."""
    cells = text.count(b",") + text.count(b"\n") + 1
    budget.take(len(text) * CHARACTER + cells * CELL, f"a CSV of {cells:,} values")
    try:
        reader = csv.reader(io.StringIO(text.decode("utf-8-sig"), newline=""), strict=True)
        header = next(reader, [])
        lines = list(islice((line for line in reader if line), None if most is None else most + 1))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"the body is no CSV that can be read: {error}") from error
    if most is not None and len(lines) > most:
        raise TooLarge(f"the CSV has more than {most:,} rows: send fewer in a call, or a batch job")
    for number, line in enumerate(lines):
        if len(line) != len(header):
            raise BadInput(f"row {number} of the CSV has {len(line)} values, its first line names {len(header)}")
    return rows([dict(zip(header, line, strict=True)) for line in lines], plan)


def feeds(loaded: Loaded, rows: list[Row], plan: processing.Table) -> dict[str, np.ndarray]:
    """The model's inputs for rows: [N, columns] each, or [N] where the model has it so."""
    budget.take(len(rows) * row_bytes(plan), f"a tensor of {len(rows):,} rows")
    groups: dict[str, list[np.ndarray]] = {tensor.name: [] for tensor in loaded.manifest.inputs}
    for column in plan.columns:
        values = [_parse_value(row.get(column.name), column, number) for number, row in enumerate(rows)]
        codes = _codes(loaded, column) if column.type == "category" else {}
        groups[processing.input_of(column, list(groups))].append(_encode(values, column, codes))
    return {tensor.name: _join(tensor, groups[tensor.name]) for tensor in loaded.manifest.inputs}


def row_bytes(plan: processing.Table) -> int:
    """That a row takes while tensors are made of it."""
    return NUMBER * sum(len(column.categories) if column.encode == "one-hot" else 1 for column in plan.columns)


def _codes(loaded: Loaded, column: Column) -> dict[str, int]:
    """The code of each category, by its text: made once for as long as the model is loaded."""
    codes: dict[str, int] | None = loaded.parts.get(CODES + column.name)
    if codes is None:
        # CSV has no types: "3" is the category 3; of two that are spelled alike, the first counts
        codes = {_spelled(value): code for code, value in reversed(list(enumerate(column.categories)))}
        loaded.parts[CODES + column.name] = codes
    return codes


def _spelled(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _join(tensor: Tensor, parts: list[np.ndarray]) -> np.ndarray:
    values = np.concatenate(parts, axis=1)
    if tensor.datatype == "BYTES":
        values = np.array([[str(value) for value in row] for row in values], np.object_).reshape(values.shape)
    else:
        try:
            values = values.astype(DTYPES[tensor.datatype])
        except (TypeError, ValueError, OverflowError) as error:
            raise BadInput(f"input {tensor.name!r} takes {tensor.datatype}: {str(error)[:200]}") from error
    return values.reshape(-1) if len(tensor.shape) == 1 and values.shape[1] == 1 else values


def _parse_value(value: Any, column: Column, number: int) -> Any:
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return _substitute(column, number)
    if column.type != "number":
        return value
    try:
        parsed = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadInput(f"row {number}: {column.name!r} is a number, not {value!r:.40}") from error
    if math.isinf(parsed):
        raise BadInput(f"row {number}: {column.name!r} is a number, and {value!r:.40} is beyond all of them")
    return _substitute(column, number) if math.isnan(parsed) else parsed


def _substitute(column: Column, number: int) -> Any:
    if column.missing is None:
        raise BadInput(f"row {number} lacks column {column.name!r}, for which the model has no substitute")
    return column.missing


def _encode(values: list[Any], column: Column, codes_by_text: Mapping[str, int]) -> np.ndarray:
    """One column's values as an array of shape [N, width]. codes_by_text: of its categories."""
    if column.type == "text" or (column.type == "category" and not column.categories):
        return np.array([str(value) for value in values], np.object_)[:, None]
    if column.type == "number":
        return np.asarray((np.array(values, np.float64)[:, None] - column.mean) / column.std)
    codes = np.array([_code(value, column, codes_by_text) for value in values], np.int64)
    if column.encode == "code":
        return codes[:, None].astype(np.float64)
    return np.asarray(codes[:, None] == np.arange(len(column.categories)), np.float64)


def _code(value: Any, column: Column, codes: Mapping[str, int]) -> int:
    code = codes.get(_spelled(value))
    if code is not None:
        return code
    if column.unknown is None:
        known = [_spelled(category) for category in column.categories[:20]]
        raise BadInput(f"{value!r:.40} is no category of {column.name!r}: {known}")
    return column.unknown
