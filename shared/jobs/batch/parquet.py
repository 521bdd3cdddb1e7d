"""Rows of a Parquet file as plain values. The only module that imports a Parquet reader (arro3, Arrow in Rust)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from shared.errors import BadInput
from shared.values.plain import plain

PANIC = re.compile(r".*`Err` value: ", re.DOTALL)  # how Rust begins the report of a panic; behind it is the reason


def read_rows(path: str, name: str, size: int) -> Iterator[list[dict[str, Any]]]:
    """Yields lists of at most `size` rows, each a dictionary by column. Raises BadInput with the file's `name`."""
    from arro3.io import read_parquet

    try:
        for batch in read_parquet(path, batch_size=size):
            names = batch.schema.names
            _require_single(names, name)
            columns = {column: _plain_values(batch.column(column), f"{name!r}, column {column!r}") for column in names}
            yield [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    except (BadInput, GeneratorExit):
        raise
    except Exception as error:  # the reader's exceptions have no common base class
        raise _unreadable(name, error) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # the reader's word for a broken file, which is no Exception
            raise
        raise _unreadable(name, error) from error


def _unreadable(name: str, error: BaseException) -> BadInput:
    reason = PANIC.sub("", str(error), count=1)[:200]
    return BadInput(f"{name!r} cannot be read as Parquet ({reason}): write the whole file again, or send CSV")


def _require_single(names: list[str], file: str) -> None:
    """Raises BadInput for a column that is there twice: of a row by name, one of them would be lost."""
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise BadInput(f"{file!r} has the columns {twice[:10]} more than once: which one counts? Remove the others")


def _plain_values(column: Any, where: str) -> list[Any]:
    """Raises BadInput for times that Python has none like: too fine for it, or in no year of its calendar."""
    if column.type.time_unit == "ns" and any((value.as_py() or 0) % 1000 for value in _as_integers(column)):
        raise BadInput(f"{where} has times finer than a microsecond, which would be cut: write them as numbers or text")
    values = []
    for value in column:
        read = value.as_py()
        if read is None and value.is_valid:
            raise BadInput(f"{where} has a date that is in none of the years 1 to 9999: write it as text")
        values.append(plain(read))
    return values


def _as_integers(column: Any) -> Any:
    from arro3.core import DataType

    return column.cast(DataType.int64())
