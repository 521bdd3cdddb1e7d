"""Rows of a Parquet file as plain values. The only module that imports a Parquet reader (arro3, Arrow in Rust)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from shared.errors import BadInput


def read_rows(path: str, name: str, size: int) -> Iterator[list[dict[str, Any]]]:
    """Yields lists of at most `size` rows, each a dictionary by column. Raises BadInput with the file's `name`."""
    from arro3.io import read_parquet

    try:
        for batch in read_parquet(path, batch_size=size):
            columns = {name: _plain_values(batch.column(name)) for name in batch.schema.names}
            yield [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    except BadInput:
        raise
    except Exception as error:  # the reader's exceptions have no common base class
        raise BadInput(
            f"{name!r} cannot be read as Parquet: {str(error)[:200]}; write it again, or send CSV"
        ) from error


def _plain_values(column: Any) -> list[Any]:
    return [_plain(value.as_py()) for value in column]


def _plain(value: Any) -> Any:
    """The value in types that msgpack has: numbers, text, bytes, lists and objects of them.

    What JSON has no number for is text, which the model's task refuses with a reason, but NaN, which is none: a gap.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return str(value) if isinstance(value, Decimal) else value
