"""The one reader of CSV: of a body as a whole, and of the records of a file of any size, which split alike.

RFC 4180, as spreadsheets and Python's csv module write it. A quotation mark opens a quoted field where the field begins
with it, and is a character like any other elsewhere: 5" pipe. Within quotes, two of them are one, and line ends are
part of the field. CR, LF and CR LF end a record; empty lines are none. A byte order mark is no character of the first
name. A line `sep=;` in front, as Excel writes it, says what is between fields.

A quote that is not closed within MAX_RECORD bytes makes a broken record of its line alone: the lines after it count.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping
from functools import cache
from itertools import chain, islice
from typing import NamedTuple

from msgspec import UnsetType

from shared.errors import BadInput, TooLarge
from shared.package.table import Csv, csv_of
from shared.values.texts import MARK

MAX_RECORD = 1024 * 1024  # bytes, within which a quoted field must end
QUOTE, CR = b'"', 13
LONGEST_USUAL = 64 * 1024  # bytes of a line that is tried as a whole, whose fields' places are kept meanwhile
LONGEST_BEGIN = 64  # bytes, in which a mark and a line `sep=` fit
LINE_END = re.compile(rb"\r\n|\r|\n")
# no possessive groups: before Python 3.11.5, one that fails may leave its place moved (CPython's issue 106052)
LINE = re.compile(rb"[^\r\n]*+(?:\r\n|\r|\n)")
SEPARATOR = re.compile(rb"sep=([,;\t|])(?:\r\n|\r|\n|\Z)")
csv.field_size_limit(2**30)  # the size of a body or a record is limited where it is read


class Dialect(NamedTuple):
    """delimiter: between fields. decimal: before the fraction of a number."""

    delimiter: str = ","
    decimal: str = "."


COMMAS = Dialect()
DECLARE = "send UTF-8, or declare what it is, as in Content-Type: text/csv; charset=windows-1252"
SAVE = "save the file as UTF-8"
NAMES = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}  # beside the characters themselves


def declared(delimiter: str | None, decimal: str | None, default: Dialect = COMMAS) -> Dialect:
    """What a caller says of a file, over what its package says. Raises BadInput."""
    between = NAMES.get(delimiter, delimiter) if delimiter else default.delimiter
    if between not in NAMES.values():
        raise BadInput(f"the delimiter {delimiter!r:.20} is none that CSV has: say one of {', '.join(NAMES)}")
    point = decimal or default.decimal
    if point not in (".", ","):
        raise BadInput(f"the decimal sign {decimal!r:.20} is none: say a point or a comma")
    if point == between:
        raise BadInput("a comma cannot stand between fields and before fractions: declare delimiter as semicolon, too")
    return Dialect(between, point)


def dialect_of(options: Mapping[str, str], written: Csv | UnsetType | None) -> Dialect:
    """Of a caller's `delimiter` and `decimal`, over what the package says. Raises BadInput."""
    return declared(options.get("delimiter"), options.get("decimal"), Dialect(*csv_of(written)))


def read(
    body: bytes, dialect: Dialect = COMMAS, most: int | None = None, known: Container[str] = ()
) -> tuple[list[str], list[list[str]]]:
    """The names of the columns, and the rows' fields, as many in each row. known: as header has it.

    Raises BadInput, TooLarge beyond `most` rows.
    """
    start, dialect = _begin(body, dialect)
    lines = _lines(_decoded(body[start:], _line_at, DECLARE), dialect)
    columns = header(next(lines, []), known)
    rows = list(islice(lines, None if most is None else most + 1))
    if most is not None and len(rows) > most:
        raise TooLarge(f"the CSV has more than {most:,} rows: send fewer in a call, or a batch job")
    for number, values in enumerate(rows):
        if len(values) != len(columns):
            raise _uneven(f"row {number} of the CSV", len(values), columns)
    return columns, rows


def _decoded(raw: bytes, what: Callable[[bytes, int], str], remedy: str) -> str:
    """Text in UTF-8. what: of the bytes, and the place of the one that is none. Raises BadInput."""
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        byte = raw[error.start]
        raise BadInput(f"{what(raw, error.start)} is no text in UTF-8 (byte 0x{byte:02x}): {remedy}") from error


def _line_at(body: bytes, place: int) -> str:
    return f"line {len(LINE_END.findall(body, 0, place)) + 1} of the CSV"


def _of_body(number: int) -> str:
    return "the body is no CSV that can be read: in " + ("its first line" if number < 0 else f"row {number}")


def _lines(text: str, dialect: Dialect, place: Callable[[int], str] = _of_body) -> Iterator[list[str]]:
    """place: how a message about a row begins, -1 the names of the columns. Raises BadInput."""
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=dialect.delimiter, strict=True)
    number = -1  # of the row, beside the names
    while True:
        try:
            line = next(lines, None)
        except csv.Error as error:
            raise BadInput(f"{place(number)}, {_reason(error)}") from error
        if line is None:
            return
        if line:
            if "\0" in "".join(line):
                raise BadInput(f"{place(number)}, there is the character NUL, which is no text")
            yield line
            number += 1


def _reason(error: csv.Error) -> str:
    if "end of data" in str(error):
        return "a quotation mark is not closed"
    return "a quoted field goes on behind its quotation mark" if "expected after" in str(error) else str(error)


def header(names: list[str], known: Container[str] = ()) -> list[str]:
    """The names of columns in a file's first record, without blanks around them unless a known one has them.

    Raises BadInput.
    """
    stripped = [name if name in known else name.strip() for name in names]
    # those without a name are told apart by nobody, and refused as such where a model is asked
    twice = sorted(name for name, count in Counter(stripped).items() if name and count > 1)
    if twice:
        raise BadInput(f"the CSV has the columns {twice[:10]} more than once: which one counts? Remove the others")
    return stripped


def _begin(body: bytes, dialect: Dialect) -> tuple[int, Dialect]:
    """How many bytes are in front of the names of the columns, and the dialect that they say."""
    start = len(MARK) if body.startswith(MARK) else 0
    separator = SEPARATOR.match(body, start)
    if separator is None:
        return start, dialect
    return separator.end(), Dialect(separator[1].decode(), dialect.decimal)


def file_spans(blocks: Iterable[bytes], dialect: Dialect = COMMAS) -> Iterator[tuple[int, int]]:
    """As record_spans, of a whole file: the first record is the names of the columns, from the file's begin on."""
    blocks = iter(blocks)
    head = b""
    while len(head) < LONGEST_BEGIN and (block := next(blocks, None)) is not None:
        head += block
    skipped, dialect = _begin(head, dialect)
    for number, (start, length) in enumerate(record_spans(chain([head[skipped:]], blocks), dialect)):
        yield (start + skipped, length) if number else (0, start + length + skipped)


def names(head: bytes, dialect: Dialect = COMMAS, known: Container[str] = ()) -> tuple[list[str], Dialect]:
    """The columns' names from the first span of a file, and the dialect of the records behind it. Raises BadInput."""
    skipped, dialect = _begin(head, dialect)
    return header(fields(head[skipped:], dialect, "the file's first line"), known), dialect


def row(record: bytes, columns: list[str], dialect: Dialect = COMMAS) -> dict[str, str]:
    """One record by column. Raises BadInput."""
    values = fields(record, dialect)
    if len(values) != len(columns):
        raise _uneven("the row", len(values), columns)
    return dict(zip(columns, values, strict=True))


def fields(record: bytes, dialect: Dialect = COMMAS, what: str = "the row") -> list[str]:
    """The fields of one record. what: it is, in messages. Raises BadInput."""
    text = _decoded(record, lambda *_: what, SAVE)
    [line] = islice(_lines(text, dialect, lambda _: f"{what} is no CSV that can be read"), 1) or [[]]
    return line


def _uneven(what: str, count: int, columns: list[str]) -> BadInput:
    return BadInput(f"{what} has {count} fields, its first line names {len(columns)}{other_delimiter(columns)}")


def other_delimiter(names: Collection[str]) -> str:
    """The end of a message about a row that has one column, where its name may be those of several; else empty."""
    only = next(iter(names)) if len(names) == 1 else ""
    delimiter = next((name for name, sign in NAMES.items() if sign in only), None)
    return f": say delimiter={delimiter} if that stands between the columns" if delimiter else ""


def record_spans(blocks: Iterable[bytes], dialect: Dialect = COMMAS) -> Iterator[tuple[int, int]]:
    """Start and length in bytes of each record, its line end included; lines that are empty are none.

    blocks: of any sizes, which change nothing. A record is held in memory until its end has been seen.
    """
    kept, offset = b"", 0  # what is not divided yet, and its place
    for block, is_last in _with_last(blocks):
        kept += block
        position = 0
        for end in _ends(kept, dialect.delimiter, is_last):
            if end - position > 2 or kept[position:end].strip(b"\r\n"):
                yield offset + position, end - position
            position = end
        kept, offset = kept[position:], offset + position


def _with_last(blocks: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    yield from ((block, False) for block in blocks)
    yield b"", True


def _ends(kept: bytes, delimiter: str, is_last: bool) -> Iterator[int]:
    """Where records end. What is left behind the last one waits for more bytes."""
    position, usual = 0, _usual(delimiter)
    while position < len(kept):
        line = LINE.match(kept, position)
        end = line.end() if line else 0
        if not (end and _is_whole(kept, position, end, usual)):
            end = _end_by_fields(kept, position, delimiter, is_last)
        if not end or (end == len(kept) and kept[-1] == CR and not is_last):  # LF may follow
            return
        yield end
        position = end


def _is_whole(kept: bytes, position: int, end: int, usual: re.Pattern[bytes]) -> bool:
    """Whether a line is a record, as far as that is quick to see."""
    if kept.find(QUOTE, position, end) < 0:
        return True
    return end - position < LONGEST_USUAL and usual.fullmatch(kept, position, end) is not None


def _end_by_fields(kept: bytes, start: int, delimiter: str, is_last: bool) -> int:
    """Where a record ends that has quotation marks, or no line end yet; 0 where that is not seen yet."""
    position, unquoted, between = start, *_parts(delimiter)
    while True:
        if kept[position : position + 1] == QUOTE:
            closed = _closed(kept, position)
            if not closed and len(kept) - position < MAX_RECORD and not is_last:
                return 0
            if not closed:
                line = LINE.match(kept, start)
                return line.end() if line else len(kept) if is_last else 0
            position = closed
        plain = unquoted.match(kept, position)
        position = plain.end() if plain else position
        if kept[position : position + 1] != between:
            break
        position += 1
    line = LINE_END.match(kept, position)
    return line.end() if line else len(kept) if is_last else 0


def _closed(kept: bytes, position: int) -> int:
    """Behind the mark that closes a quoted field; 0 where there is none within MAX_RECORD."""
    stop = min(position + MAX_RECORD, len(kept))
    at = kept.find(QUOTE, position + 1, stop)
    while at >= 0 and at + 1 < stop and kept[at + 1] == QUOTE[0]:
        at = kept.find(QUOTE, at + 2, stop)
    return at + 1


@cache
def _usual(delimiter: str) -> re.Pattern[bytes]:
    """A record on one line, whose marks are around whole fields: what there is most of, several times quicker."""
    between = re.escape(delimiter.encode())
    field = rb'(?:"[^"\r\n]*+"|[^"\r\n' + between + rb"]*+)"
    return re.compile(field + rb"(?:" + between + field + rb")*(?:\r\n|\r|\n)")


@cache
def _parts(delimiter: str) -> tuple[re.Pattern[bytes], bytes]:
    return re.compile(rb"[^\r\n" + re.escape(delimiter.encode()) + rb"]*+"), delimiter.encode()
