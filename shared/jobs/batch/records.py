"""Where the records of a JSONL or CSV file begin and end, in bytes, without holding the file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

NEWLINE = b"\n"
QUOTE = b'"'


def spans(blocks: Iterable[bytes], *, quoted: bool) -> Iterator[tuple[int, int]]:
    """Start and length of each record that is not an empty line, its line end included.

    quoted: a line end inside double quotes belongs to the record, as in CSV (RFC 4180).
    """
    start = offset = quotes = 0
    last = b""
    for block in blocks:
        at = 0
        while (found := block.find(NEWLINE, at)) >= 0:
            quotes += block.count(QUOTE, at, found) if quoted else 0
            before = block[found - 1 : found] if found else last
            at = found + 1
            if quotes % 2 == 0:
                length = offset + at - start
                if length > 2 or (length == 2 and before != b"\r"):
                    yield start, length
                start, quotes = offset + at, 0
        quotes += block.count(QUOTE, at) if quoted else 0
        offset += len(block)
        last = block[-1:] or last
    if offset > start:
        yield start, offset - start
