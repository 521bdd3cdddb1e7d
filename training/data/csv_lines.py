"""Lines of a CSV file, by the reader of those who serve: what training reads, is read when it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from shared.errors import BadInput
from shared.values import csvfile
from shared.values.csvfile import Dialect
from training.errors import TrainingError

SUFFIXES = {".csv", ".tsv"}
SEPARATORS = (",", ";", "\t")  # the first of these among the names of the columns
Line = tuple[int, list[str] | str]  # its number in the file, and its fields, or why there are none


def require(every: list[Path], delimiter: str | None, decimal: str | None) -> None:
    """Raises TrainingError where what is said of CSV files is said of others."""
    others = [file for file in every if file.suffix.lower() not in SUFFIXES]
    if decimal and others:
        raise TrainingError(f"--decimal is of CSV files, and {others[0]} is none: omit it, or leave the file out")
    if delimiter and len(others) == len(every):
        raise TrainingError(f"--delimiter is of CSV files, and {others[0]} is none: omit it")


def read(
    file: Path, body: bytes, delimiter: str | None, decimal: str | None
) -> tuple[list[str], Dialect, Iterator[Line]]:
    """The names of the columns, the dialect, and the lines behind the names. Raises TrainingError.

    body: in UTF-8. delimiter, decimal: as csvfile.declared takes them; without a delimiter, it is what the names have.
    """
    try:
        dialect = csvfile.declared(delimiter or _delimiter(file, body), decimal)
        spans = csvfile.file_spans([body], dialect)
        _, end = next(spans, (0, 0))
        names, dialect = csvfile.names(body[:end], dialect)
    except BadInput as error:
        raise TrainingError(f"{file}: {error}") from error
    return names, dialect, _lines(body, end, spans, dialect)


def _delimiter(file: Path, body: bytes) -> str:
    if file.suffix.lower() == ".tsv":
        return "\t"
    if said := csvfile.SEPARATOR.match(body):
        return said[1].decode()
    end = csvfile.LINE_END.search(body)
    names = body[: end.start()] if end else body
    return next((mark for mark in SEPARATORS if mark.encode() in names), ",")


def _lines(body: bytes, end: int, spans: Iterator[tuple[int, int]], dialect: Dialect) -> Iterator[Line]:
    ended = len(csvfile.LINE_END.findall(body, 0, end))
    for start, length in spans:
        ended += len(csvfile.LINE_END.findall(body, end, start + length))
        end = start + length
        number = ended if body[end - 1 : end] in b"\r\n" else ended + 1
        try:
            yield number, csvfile.fields(body[start:end], dialect)
        except BadInput as error:
            yield number, str(error)
