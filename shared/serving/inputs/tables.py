"""Rows → tensors: columns by name, missing values, categories, scaling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from shared import budget
from shared.errors import BadInput
from shared.package.table import Table
from shared.serving.inputs import request
from shared.serving.inputs.request import Inputs
from shared.serving.loaded import Loaded
from shared.values import csvfile
from shared.values.csvfile import Dialect
from shared.values.table import Reader, Row

MAX_ROWS = 50_000  # in a call
# bytes, at most: of a character of a CSV, in text of any alphabet and once more cut into values; of a value beside
# them, in a row by column; of a number that is made of it, in FP64, side by side with others, and as the model has it
CHARACTER, CELL, NUMBER = 8, 100, 40
READER = "reader of rows"  # of a loaded model's parts, beside its files, which have no spaces


def declared(loaded: Loaded) -> Table:
    """The package's columns: without them, a package has no task that takes rows."""
    table = loaded.manifest.preprocess
    assert isinstance(table, Table)
    return table


def dialect(plan: Table, said: Mapping[str, str] | None = None) -> Dialect:
    """How a CSV is written: as its sender says, or else the package. Raises BadInput."""
    return csvfile.dialect_of(said or {}, plan.csv)


def read(loaded: Loaded, body: bytes, content_type: str, query: dict[str, str]) -> Inputs:
    """The rows in a body: CSV with a header, or JSON with objects or lists. Raises BadInput, TooLarge, Unsupported."""
    plan = declared(loaded)
    if content_type == "text/csv":
        lines = parse_csv(body, plan, MAX_ROWS, dialect(plan, query))
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


def rows(values: list[Any], plan: Table) -> list[Row]:
    """Rows as they are sent: objects by column, or lists in the columns' order. Raises BadInput."""
    return Reader(plan).rows(values)


def parse_csv(text: bytes, plan: Table, most: int | None = None, written: Dialect | None = None) -> list[Row]:
    """The rows of a CSV file whose first line names the columns. Raises BadInput, and TooLarge beyond `most` rows.

    written: its dialect; omitted, the package's.
    """
    written = written or dialect(plan)
    cells = text.count(written.delimiter.encode()) + text.count(b"\n") + text.count(b"\r") + 1
    budget.take(len(text) * CHARACTER + cells * CELL, f"a CSV of {cells:,} values")
    reader = Reader(plan)
    columns, lines = csvfile.read(text, written, most, reader.names)
    parsed = reader.rows([dict(zip(columns, line, strict=True)) for line in lines])
    return [reader.read_numbers(row, written.decimal, number) for number, row in enumerate(parsed)]


def feeds(loaded: Loaded, rows: list[Row], plan: Table) -> dict[str, np.ndarray]:
    """The model's inputs for rows: [N, columns] each, or [N] where the model has it so. Raises BadInput."""
    budget.take(len(rows) * row_bytes(plan), f"a tensor of {len(rows):,} rows")
    reader: Reader | None = loaded.parts.get(READER)
    if reader is None or reader.plan is not plan:
        reader = loaded.parts[READER] = Reader(plan)
    return reader.feeds(rows, loaded.manifest.inputs)


def row_bytes(plan: Table) -> int:
    """That a row takes while tensors are made of it."""
    return NUMBER * sum(len(column.categories) if column.encode == "one-hot" else 1 for column in plan.columns)
