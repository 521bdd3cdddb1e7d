"""CSV: the records of a file of any size are the rows of a body; Python's own csv module agrees where it reads it."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import BadInput, TooLarge
from shared.values import csvfile
from shared.values.csvfile import Dialect

PIECES = ['"', ",", ";", "\r", "\n", "\r\n", "a", '""', '5" p', "\n\n", "é", " ", "sep=;\n", "1,5"]
BODIES = st.lists(st.sampled_from(PIECES), max_size=25).map(lambda pieces: "".join(pieces).encode())
DIALECTS = st.sampled_from([Dialect(), Dialect(";"), Dialect("\t")])


def blocks(body: bytes, size: int) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body), size)]


@given(BODIES, DIALECTS, st.integers(1, 9), st.sampled_from([6, 2**20]))
@settings(max_examples=400)
def test_the_size_of_blocks_changes_nothing(body: bytes, dialect: Dialect, size: int, longest: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csvfile, "MAX_RECORD", longest)
        spans = list(csvfile.record_spans([body], dialect))
        assert list(csvfile.record_spans(blocks(body, size), dialect)) == spans
        assert list(csvfile.file_spans(blocks(body, size), dialect)) == list(csvfile.file_spans([body], dialect))
        at = 0
        for start, length in spans:
            assert start >= at and length > 0 and body[at:start].strip(b"\r\n") == b""
            at = start + length
        assert body[at:].strip(b"\r\n") == b""


@given(BODIES, DIALECTS, st.data())
@settings(max_examples=300)
def test_a_part_of_a_file_has_the_records_that_the_file_has(body: bytes, dialect: Dialect, data: st.DataObject) -> None:
    spans = list(csvfile.record_spans([body], dialect))
    if not spans:
        return
    first = data.draw(st.integers(0, len(spans) - 1))
    last = data.draw(st.integers(first, len(spans) - 1))
    begin, end = spans[first][0], sum(spans[last])
    inner = [(start + begin, length) for start, length in csvfile.record_spans([body[begin:end]], dialect)]
    assert inner == spans[first : last + 1]


@given(BODIES, DIALECTS)
@settings(max_examples=400)
def test_records_are_the_rows_that_python_reads(body: bytes, dialect: Dialect) -> None:
    try:
        text = io.StringIO(body.decode(), newline="")
        expected = [line for line in csv.reader(text, delimiter=dialect.delimiter, strict=True) if line]
    except csv.Error:
        return
    spans = csvfile.record_spans([body], dialect)
    assert [csvfile.fields(body[start : start + length], dialect) for start, length in spans] == expected


CELL = st.text('ab",;\n\r 5\u00e9', max_size=6)


@given(st.lists(st.lists(CELL, min_size=2, max_size=3), min_size=1, max_size=6), DIALECTS, st.booleans(), st.booleans())
def test_what_was_written_is_read(rows: list[list[str]], dialect: Dialect, all_quoted: bool, marked: bool) -> None:
    width = len(rows[0])
    rows = [(row + ["x"] * width)[:width] for row in rows]
    out = io.StringIO(newline="")
    quoting = csv.QUOTE_ALL if all_quoted else csv.QUOTE_MINIMAL
    writer = csv.writer(out, quoting=quoting, delimiter=dialect.delimiter)
    writer.writerow([f"c{number}" for number in range(width)])
    writer.writerows(rows)
    body = (csvfile.MARK if marked else b"") + out.getvalue().encode()
    columns, read = csvfile.read(body, dialect)
    assert (columns, read) == ([f"c{number}" for number in range(width)], rows)
    [head, *spans] = csvfile.file_spans([body], dialect)
    assert csvfile.names(body[: head[1]], dialect) == (columns, dialect)
    assert [list(csvfile.row(body[s : s + n], columns, dialect).values()) for s, n in spans] == rows


def test_marks_that_are_no_quotation() -> None:
    body = b'size,n\n5" pipe,1\n6 inch,2\n8" pipe,4\n9"" x,5\n'
    assert csvfile.read(body)[1] == [['5" pipe', "1"], ["6 inch", "2"], ['8" pipe', "4"], ['9"" x', "5"]]
    assert len(list(csvfile.record_spans([body]))) == 5


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_line_ends(end: str) -> None:
    body = end.join(["a,b", "", "1,2", '"x' + end + 'y",3', ""]).encode()
    assert csvfile.read(body) == (["a", "b"], [["1", "2"], [f"x{end}y", "3"]])
    assert len(list(csvfile.file_spans([body]))) == 3


def test_a_quote_that_is_never_closed_costs_its_own_row_only() -> None:
    body = b'a,b\n1,2\n3,"x\n5,6\n7,8\n'
    records = [body[start : start + length] for start, length in csvfile.record_spans([body])]
    assert records == [b"a,b\n", b"1,2\n", b'3,"x\n', b"5,6\n", b"7,8\n"]
    with pytest.raises(BadInput, match="not closed"):
        csvfile.fields(records[2])
    with pytest.raises(BadInput, match="in row 1, a quotation mark is not closed"):
        csvfile.read(body)


def test_a_long_field_is_one_and_a_quote_far_away_closes_nothing() -> None:
    long = b'a,b\n"' + b"x\n" * 400_000 + b'",2\n3,4\n'
    assert len(list(csvfile.record_spans(blocks(long, 100_000)))) == 3
    far = b'a,b\n1,"' + b"x,y\n" * 300_000 + b'"\n'
    assert len(list(csvfile.record_spans(blocks(far, 100_000)))) == 300_002
    wide = b"a,b\n" + b"x" * 3_000_000 + b",1\n2,3\n"
    assert len(list(csvfile.record_spans(blocks(wide, 100_000)))) == 3


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"a,a\n1,2\n", "columns \\['a'\\] more than once"),
        (b"a, a\n1,2\n", "more than once"),
        (b"a,b\n1,2,3\n", "row 0 of the CSV has 3 fields, its first line names 2"),
        (b"a;b\n1;2;3\n,\n", "say delimiter=semicolon if that stands between the columns"),
        (b'a,b\n"x"y,2\n', "in row 0, a quoted field goes on"),
        (b"a,b\n1,\x00\n", "in row 0, there is the character NUL"),
        (b"a\n1\r\n\xe9\n", r"line 3 of the CSV is no text in UTF-8 \(byte 0xe9\): send UTF-8, or declare what it is"),
        (b'"a\n1\n', "in its first line, a quotation mark is not closed"),
    ],
)
def test_what_is_refused(body: bytes, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        csvfile.read(body)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (b'"x"y,2\n', "^the row is no CSV that can be read, a quoted field goes on behind its quotation mark$"),
        (b'"x,2\n', "^the row is no CSV that can be read, a quotation mark is not closed$"),
        (b"1\0,2\n", "^the row is no CSV that can be read, there is the character NUL, which is no text$"),
        (b"\xe9,2\n", r"^the row is no text in UTF-8 \(byte 0xe9\): save the file as UTF-8$"),
        (b"1\n", "^the row has 1 fields, its first line names 2$"),
    ],
)
def test_a_row_alone_is_told_of_as_the_row(record: bytes, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        csvfile.row(record, ["a", "b"])


def test_a_first_line_alone_is_told_of_as_such() -> None:
    with pytest.raises(BadInput, match=r"^the file's first line is no text in UTF-8 \(byte 0xff\): save the file"):
        csvfile.names("a,b\n".encode("utf-16"))
    with pytest.raises(BadInput, match=r"^the file's first line is no CSV that can be read, a quotation mark is not"):
        csvfile.names(b'"a,b\n')


def test_more_rows_than_fit() -> None:
    with pytest.raises(TooLarge, match="more than 2 rows"):
        csvfile.read(b"a\n1\n2\n3\n", most=2)


def test_excels_line_says_the_delimiter() -> None:
    body = b"\xef\xbb\xbfsep=;\r\na;b\r\n1;2\r\n"
    assert csvfile.read(body) == (["a", "b"], [["1", "2"]])
    [head, record] = csvfile.file_spans(blocks(body, 3))
    assert csvfile.names(body[: head[1]]) == (["a", "b"], Dialect(";"))
    assert body[record[0] :] == b"1;2\r\n"


def test_blanks_around_names_are_none_unless_the_model_has_them() -> None:
    assert csvfile.read(b"a, b , c\n1,2,3\n", known={" c"})[0] == ["a", "b", " c"]


def test_what_callers_say_of_a_file() -> None:
    assert csvfile.declared(None, None) == Dialect()
    assert csvfile.declared("semicolon", ",") == Dialect(";", ",")
    assert csvfile.declared(None, None, Dialect("\t", ",")) == Dialect("\t", ",")
    for delimiter, decimal in (("x", None), (None, "x"), (None, ",")):
        with pytest.raises(BadInput):
            csvfile.declared(delimiter, decimal)
