"""Parquet files that are broken, or hold what would be changed in reading: refused with the file's name, never cut."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from arro3.core import Array, DataType, Table
from arro3.io import write_parquet

from shared.errors import BadInput
from shared.jobs.batch import parquet, plan
from shared.storage.memory import MemoryStore
from tests.jobs_batch.world import a_job


def written(columns: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    write_parquet(Table.from_pydict(columns), buffer)
    return buffer.getvalue()


def integers(values: list[int], wide: bool = True) -> Array:
    return Array(values, DataType.int64() if wide else DataType.int32())


ROWS = written({"a": integers([1, 2, 2**53 + 1])})


def rows(body: bytes, folder: Path) -> list[dict[str, Any]]:
    (folder / "rows").write_bytes(body)
    return [row for part in parquet.read_rows(str(folder / "rows"), "r.parquet", 2) for row in part]


@pytest.mark.parametrize(
    "body",
    [b"PAR1", b"a,b\n1,2\n", ROWS[:-20], ROWS[: len(ROWS) // 2], b"PAR1" + bytes(40) + b"PAR1"],
    ids=["nothing", "csv", "cut", "half", "zeros"],
)
def test_a_broken_file_is_refused_by_name_for_good(body: bytes) -> None:
    """The reader panics, in an exception that is none of Python's Exceptions: it ended the planner."""
    store = MemoryStore()
    with pytest.raises(BadInput, match=r"'r\.parquet' cannot be read as Parquet \(.*write the whole file again"):
        plan.create(store, a_job(store, {"r.parquet": body}))


def test_integers_keep_their_digits(tmp_path: Path) -> None:
    assert rows(ROWS, tmp_path) == [{"a": 1}, {"a": 2}, {"a": 2**53 + 1}]


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    table = Table.from_arrays([integers([1]), integers([5])], names=["a", "a"])
    buffer = io.BytesIO()
    write_parquet(table, buffer)
    with pytest.raises(BadInput, match=r"'r\.parquet' has the columns \['a'\] more than once"):
        rows(buffer.getvalue(), tmp_path)


def test_times_in_nanoseconds_are_whole_microseconds_or_refused(tmp_path: Path) -> None:
    took = DataType.duration("ns")
    assert rows(written({"a": integers([1_500_000_000]).cast(took)}), tmp_path) == [{"a": 1.5}]
    with pytest.raises(BadInput, match="column 'a' has times finer than a microsecond"):
        rows(written({"a": integers([1_500_000_000, 1_500_000_001]).cast(took)}), tmp_path)


def test_a_date_of_no_year_is_no_gap(tmp_path: Path) -> None:
    days = DataType.date32()
    assert rows(written({"a": integers([0], wide=False).cast(days)}), tmp_path) == [{"a": "1970-01-01"}]
    with pytest.raises(BadInput, match="column 'a' has a date that is in none of the years 1 to 9999"):
        rows(written({"a": integers([2**31 - 1], wide=False).cast(days)}), tmp_path)
