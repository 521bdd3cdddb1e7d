"""Lines of JSONL, found in blocks of any size, and records of CSV as plans of 0.1 counted them."""

from __future__ import annotations

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from shared.jobs.batch.records import record_spans

SMALL = st.integers(1, 7)


def blocks(body: bytes, size: int) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body), size)]


@given(st.lists(st.text("ab\"', ", max_size=5)), st.sampled_from(["\n", "\r\n"]), st.booleans(), SMALL)
def test_lines_are_those_of_the_file(lines: list[str], end: str, ended: bool, size: int) -> None:
    body = (end.join(lines) + (end if ended else "")).encode()
    records = [body[start : start + length] for start, length in record_spans(blocks(body, size), quoted=False)]
    assert [record.rstrip(b"\r\n").decode() for record in records] == [line for line in lines if line]


cell = st.text('ab",\n\r ', min_size=0, max_size=6)


@given(st.lists(st.lists(cell, min_size=2, max_size=3), max_size=6), SMALL)
def test_rows_are_those_that_csv_wrote(rows: list[list[str]], size: int) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows(rows)
    body = out.getvalue().encode()
    records = [body[start : start + length].decode() for start, length in record_spans(blocks(body, size), quoted=True)]
    assert [next(csv.reader(io.StringIO(record, newline=""))) for record in records] == rows


@given(st.binary(max_size=60), st.booleans(), SMALL)
def test_the_size_of_blocks_changes_nothing(body: bytes, quoted: bool, size: int) -> None:
    assert list(record_spans(blocks(body, size), quoted=quoted)) == list(record_spans([body], quoted=quoted))


@given(st.binary(max_size=60), st.booleans())
def test_spans_are_in_order_and_do_not_overlap(body: bytes, quoted: bool) -> None:
    at = 0
    for start, length in record_spans([body], quoted=quoted):
        assert start >= at
        assert length > 0
        assert body[at:start].strip(b"\r\n") == b""
        at = start + length
    assert body[at:].strip(b"\r\n") == b""


def test_stray_quotes_make_one_record_of_what_they_hold() -> None:
    body = b'a,b\n1,"x\ny\n2,z\n'
    assert [body[s : s + n] for s, n in record_spans([body], quoted=True)] == [b"a,b\n", b'1,"x\ny\n2,z\n']
