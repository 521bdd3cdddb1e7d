"""Rows of a table → a model's inputs, as the package declares its columns: columns by name, gaps, categories, scaling.

Integers that no scaling is declared for reach the model without having been floats: an id keeps all its digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from shared.errors import BadInput
from shared.package.manifest import Tensor
from shared.package.table import Column, Table, input_of
from shared.values import cells, csvfile, numbers
from shared.values.cells import Categories
from shared.values.place import in_column

Row = dict[str, Any]

OR_DECLARE = "send 1 or 0, or have the package declare `booleans` for the column"


class Reader:
    """Of one package: its columns, with the codes of their categories. Made once for as long as a model is loaded."""

    def __init__(self, plan: Table) -> None:
        self.plan = plan
        self.names = {column.name: None for column in plan.columns}
        self._gaps = frozenset(plan.gaps or ())
        self._unread = frozenset([*(plan.ignored or ()), *([plan.target] if plan.target else [])])

    @cached_property
    def _categories(self) -> dict[str, Categories]:
        """Made when rows become inputs: who only reads rows, as each call does, has no need of them."""
        return {
            column.name: Categories(column.categories)
            for column in self.plan.columns
            if column.type == "category" and column.categories
        }

    def rows(self, values: Sequence[Any]) -> list[Row]:
        """Rows as they are sent: objects by column, or lists in the columns' order. Raises BadInput."""
        return [self._row(value, number) for number, value in enumerate(values)]

    def _row(self, value: Any, number: int) -> Row:
        names = self.names
        if isinstance(value, list) and len(value) == len(names):
            return dict(zip(names, value, strict=True))
        if isinstance(value, dict):
            strange = [name[:100] for name in value if name not in names and name not in self._unread]
            if not strange:
                return value
            raise BadInput(
                f"row {number} has the columns {strange[:10]}, which the model lacks: it takes {list(names)[:50]}"
                f"{cells.look_alike(strange[0], names)}{csvfile.other_delimiter(value)}"
            )
        raise BadInput(f"row {number} must be an object with, or a list of, {len(names)} columns: {list(names)[:50]}")

    def read_numbers(self, row: Row, decimal: str, number: int = 0) -> Row:
        """A row of text whose numbers have another decimal sign than a point, its numbers as such. Raises BadInput."""
        if decimal == ".":
            return row
        read = dict(row)
        for column in self.plan.columns:
            value = row.get(column.name)
            if column.type == "number" and not self._is_gap(value, column) and cells.truth(value) is None:
                read[column.name] = _at(column, number, cells.number, value, decimal)
        return read

    def feeds(self, rows: Sequence[Row], inputs: Sequence[Tensor]) -> dict[str, np.ndarray]:
        """The model's inputs for rows: [N, columns] each, or [N] where the model has it so. Raises BadInput."""
        tensors = {tensor.name: tensor for tensor in inputs}
        groups: dict[str, list[np.ndarray]] = {name: [] for name in tensors}
        for column in self.plan.columns:
            name = input_of(column, list(tensors))
            groups[name].append(self._encode(rows, column, tensors[name].datatype))
        return {name: _join(tensor, groups[name]) for name, tensor in tensors.items()}

    def _encode(self, rows: Sequence[Row], column: Column, datatype: str) -> np.ndarray:
        """One column's values as an array [N, width] of the datatype."""
        values = [self._filled(row, column, number) for number, row in enumerate(rows)]
        if column.type == "number":
            return self._numbers(values, column, datatype)[:, None]
        categories = self._categories.get(column.name)
        if categories is None:
            texts = [_at(column, row, cells.text, value) for row, value in enumerate(values)]
            return self._of_texts(texts, column, datatype)[:, None]
        codes = np.array([self._code(value, column, categories, row) for row, value in enumerate(values)], np.int64)
        if column.encode == "code":
            return _to_type(codes, column, datatype)[:, None]
        return _to_type(codes[:, None] == np.arange(len(column.categories)), column, datatype)

    def _numbers(self, values: Sequence[Any], column: Column, datatype: str) -> np.ndarray:
        booleans = column.booleans or datatype == "BOOL"
        parsed = [self._number(value, column, row, booleans) for row, value in enumerate(values)]
        if datatype == "BYTES":
            return _to_type(numbers.from_json(parsed, "FP64", in_column(column.name)), column, datatype)
        if datatype == "BOOL":
            return numbers.cast(np.array(parsed, np.object_), datatype, in_column(column.name))
        if column.mean == 0 and column.std == 1:
            return numbers.from_json(parsed, datatype, in_column(column.name))
        return self._scaled(numbers.from_json(parsed, "FP64", in_column(column.name)), column, datatype)

    def _scaled(self, values: np.ndarray, column: Column, datatype: str) -> np.ndarray:
        """Raises BadInput for a number that is none any more, beyond the largest of 64 bits."""
        with np.errstate(over="ignore"):
            scaled = (values - column.mean) / column.std
        beyond = np.isinf(scaled)
        if beyond.any():
            row = int(beyond.argmax())
            raise BadInput(
                f"{in_column(column.name)((row,))}: {float(values[row])!r} is beyond all numbers when it is scaled by "
                f"the package's mean and std ({column.mean:g}, {column.std:g})"
            )
        return numbers.cast(scaled, datatype, in_column(column.name))

    def _number(self, value: Any, column: Column, row: int, booleans: bool) -> cells.Number:
        if cells.is_nan(value) or value != value:  # the column's substitute
            return float("nan")
        try:
            return cells.number(value)
        except ValueError as error:
            truth = cells.truth(value)
            if truth is not None and booleans:
                return truth
            reason = f"is a number, not {cells.shown(value)}: {OR_DECLARE}" if truth is not None else error
            raise BadInput(f"row {row}: {column.name!r} {reason}") from error

    def _is_gap(self, value: Any, column: Column) -> bool:
        return cells.is_gap(value, self._gaps) or (column.type == "number" and cells.is_nan(value))

    def _filled(self, row: Row, column: Column, number: int) -> Any:
        """A row's value of a column, a gap's substitute where it is one. Raises BadInput where there is none."""
        value = row.get(column.name)
        if not self._is_gap(value, column):
            return value
        if column.missing is not None:
            return column.missing
        if column.name not in row:
            found = f"row {number} lacks column {column.name!r}"
        else:
            spelled = "null" if value is None else cells.shown(value)
            found = f"row {number}: {column.name!r} is {spelled}, which is a gap"
        raise BadInput(
            f"{found}, and the model has no substitute for it: send a value, or have the package declare `missing` for "
            "the column"
        )

    def _code(self, value: Any, column: Column, categories: Categories, row: int) -> int:
        code = _at(column, row, categories.code, value)
        if code is not None:
            return int(code)
        if column.unknown is None:
            known = [cells.text(category) for category in column.categories[:20]]
            alike = cells.look_alike(value, column.categories)
            raise BadInput(f"row {row}: {cells.shown(value)} is no category of {column.name!r}: {known}{alike}")
        return column.unknown

    def _of_texts(self, texts: list[str], column: Column, datatype: str) -> np.ndarray:
        if datatype == "BYTES":
            return np.array(texts, np.object_)
        parsed = [_at(column, row, cells.number, value) for row, value in enumerate(texts)]
        return numbers.from_json(parsed, datatype, in_column(column.name))


def _at(column: Column, row: int, read: Any, *values: Any) -> Any:
    """read(*values), its refusal with the cell's place. Raises BadInput."""
    try:
        return read(*values)
    except ValueError as error:
        raise BadInput(f"row {row}: {column.name!r} {error}") from error


def _to_type(values: np.ndarray, column: Column, datatype: str) -> np.ndarray:
    if datatype != "BYTES":
        return numbers.cast(values, datatype, in_column(column.name))
    spelled = np.array([str(value) for value in values.astype(np.float64).flat], np.object_)
    return spelled.reshape(values.shape)


def _join(tensor: Tensor, parts: list[np.ndarray]) -> np.ndarray:
    values = np.concatenate(parts, axis=1)
    return values.reshape(-1) if len(tensor.shape) == 1 and values.shape[1] == 1 else values
