"""Byte ranges of the lines of a JSONL file, found without holding the whole file in memory.

Of CSV files: as plans of 0.1 counted them. What plans are made by is shared/values/csvfile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

NEWLINE = b"\n"
QUOTE = b'"'


def record_spans(blocks: Iterable[bytes], *, quoted: bool) -> Iterator[tuple[int, int]]:
    """Start and length in bytes of each record that is not an empty line, its line end included.

    quoted: a line end inside double quotes belongs to the record, as in CSV (RFC 4180).
    """
    start = offset = quotes = 0
    last = b""
    for block in blocks:
        position = 0
        while (newline := block.find(NEWLINE, position)) >= 0:
            quotes += block.count(QUOTE, position, newline) if quoted else 0
            previous = block[newline - 1 : newline] if newline else last
            position = newline + 1
            # an odd number of quotes: this line end is inside a quoted field. An escaped quote is two of them
            if quotes % 2 == 0:
                length = offset + position - start
                if length > 2 or (length == 2 and previous != b"\r"):
                    yield start, length
                start, quotes = offset + position, 0
        quotes += block.count(QUOTE, position) if quoted else 0
        offset += len(block)
        last = block[-1:] or last
    if offset > start:
        yield start, offset - start
