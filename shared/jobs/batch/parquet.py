"""Rows of a Parquet file as plain values. The only module that imports a Parquet reader (arro3, Arrow in Rust)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from shared.errors import BadInput
from shared.values.plain import plain


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
    return [plain(value.as_py()) for value in column]
