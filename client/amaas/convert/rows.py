"""Rows to prove a conversion with: those of a file, or plausible ones, made of what the model knows of its columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from amaas.convert.columns import Column, Table, rounded
from amaas.convert.errors import NotConverted
from amaas.convert.original import Original

DERIVED = 256
TYPICAL = 50  # rows that a prediction is explained against
MOST = 2000  # rows of a file that are looked at
UNKNOWN = 0.05  # share of values that are no category, where a model answers them
GAPS = ("", "NA", "NaN", "nan", "null", "None")
TRUTHS = {"true": 1.0, "false": 0.0}
SENTENCES = ("no words that it knows", "SHOUTED Words, ÄÖÜ É", "")


def size(table: Table) -> int:
    return len(next(iter(table.values())))


def chosen(table: Table, places: np.ndarray) -> Table:
    """places: numbers of rows, or a truth for each."""
    return {name: values[places] for name, values in table.items()}


def derived(original: Original) -> Table:
    """Plausible rows, the same each time."""
    random = np.random.default_rng(20)
    return {column.name: _values(column, original.words, random) for column in original.columns.each}


def _values(column: Column, words: list[str], random: np.random.Generator) -> np.ndarray:
    if column.kind == "category":
        values = np.array([*column.categories, None], np.object_)[random.integers(0, len(column.categories), DERIVED)]
        if column.unknown:
            values[random.random(DERIVED) < UNKNOWN] = None
        return values
    if column.kind == "text":
        known = words or ["text"]
        lengths = random.integers(1, 12, DERIVED)
        texts = [" ".join(random.choice(known, length)) for length in lengths]
        return np.array([*texts[: -len(SENTENCES)], *SENTENCES], np.object_)
    if column.only_booleans:
        return random.integers(0, 2, DERIVED).astype(np.float64)
    spread = column.high - column.low
    if not spread:  # of any size, as nothing is known
        return rounded(column.low + random.normal(size=DERIVED) * 10.0 ** random.uniform(-2, 1.5, DERIVED))
    # beyond what was seen, too: that happens
    return rounded((column.low + column.high) / 2 + spread * random.uniform(-0.7, 0.7, DERIVED))


def typical(original: Original) -> Table:
    """Of the derived rows, the first ones, with a category where they have one that the model does not know."""
    table = chosen(derived(original), np.arange(TYPICAL))
    for column in original.columns.each:
        if column.kind == "category":
            known = [one for one in column.categories if str(one).strip()] or column.categories
            values = [value if value in known else known[n % len(known)] for n, value in enumerate(table[column.name])]
            table[column.name] = np.array(values, np.object_)
    return table


def of_file(path: Path, original: Original) -> Table:
    """The rows of a CSV file with a header; columns that the model lacks are left out. Raises NotConverted."""
    import pandas

    try:
        frame = pandas.read_csv(path, dtype=str, keep_default_na=False, nrows=MOST, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise NotConverted(f"{path} cannot be read as CSV: {str(error).splitlines()[0][:200]}") from error
    names = [column.name for column in original.columns.each]
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise NotConverted(
            f"{path} lacks the column {missing[0]!r}: its first line has to name the model's, {', '.join(names[:20])}"
        )
    if not len(frame):
        raise NotConverted(f"{path} has no rows below its header")
    return {column.name: _read(column, frame[column.name].tolist(), path) for column in original.columns.each}


def _read(column: Column, cells: list[str], path: Path) -> np.ndarray:
    if column.kind == "text":
        return np.array(cells, np.object_)
    if column.kind == "number":
        numbers = rounded(np.array([_number(column, cell, row, path) for row, cell in enumerate(cells)]))
        column.booleans = column.booleans and bool((np.isin(numbers, (0, 1)) | np.isnan(numbers)).all())
        return numbers
    texts = isinstance(column.categories[0], str)
    by_cell = {value if texts else float(value): value for value in column.categories}
    values = []
    for row, cell in enumerate(cells):
        value = cell if texts else _number(column, cell, row, path)
        if cell.strip() in GAPS and value not in by_cell and column.filler is not None:
            value = column.filler
        if value not in by_cell and not column.unknown:
            known = ", ".join(map(str, column.categories[:20]))
            raise NotConverted(f"{path}, row {row}: {cell[:40]!r} is no category of {column.name!r}: {known}")
        values.append(by_cell.get(value))
    return np.array(values, np.object_)


def _number(column: Column, cell: str, row: int, path: Path) -> float:
    if cell.strip() in GAPS:
        return float("nan")
    if column.booleans and cell.strip().lower() in TRUTHS:
        return TRUTHS[cell.strip().lower()]
    try:
        return float(cell)
    except ValueError:
        raise NotConverted(f"{path}, row {row}: {column.name!r} is a number, not {cell[:40]!r}") from None
