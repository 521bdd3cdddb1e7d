"""Counts as they are stored: gzip of JSON with a `format`."""

# no `from __future__ import annotations`: msgspec resolves the texts at import

import zlib
from typing import TypeVar

import msgspec
from msgspec import Struct, field

from shared import formats
from shared.counts.counts import Row
from shared.formats import Damaged

GZIP = "application/gzip"
WINDOW = 31  # zlib's number for a gzip header
MOST = 256 * 1024 * 1024  # bytes that an object may unpack to: an hour of 20,000 models has less
Form = TypeVar("Form", bound=Struct)
Ranges = list[list[int]]


class Raw(Struct, tag_field="format", tag=1, omit_defaults=True, kw_only=True):
    """What one process counted since it last wrote: rows of minutes of one hour. Written once, never changed.

    dropped: requests that were not counted, as the process had more rows than it may hold.
    """

    rows: list[Row]
    dropped: int = 0


class Hour(Struct, tag_field="format", tag=1, omit_defaults=True, kw_only=True):
    """The sum of an hour's raw objects, by minute.

    merged: which ones, as ranges of numbers by process, both ends included: one that turns up again counts no more.
    left_out: keys of raw objects that could not be read. dropped: as in Raw.
    """

    rows: list[Row] = field(default_factory=list)
    merged: dict[str, Ranges] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    dropped: int = 0


class Day(Struct, tag_field="format", tag=1, omit_defaults=True, kw_only=True):
    """A model's counts of a day by hour. hours: ETags of the hours that it was made of; left_out, dropped: of all
    models in them, by hour, where there are some.
    """

    rows: list[Row] = field(default_factory=list)
    hours: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)


RAW = msgspec.json.Decoder(Raw)
HOUR = msgspec.json.Decoder(Hour)
DAY = msgspec.json.Decoder(Day)


def pack(form: Struct) -> bytes:
    """The same bytes for the same form."""
    packer = zlib.compressobj(6, wbits=WINDOW)
    return packer.compress(msgspec.json.encode(form)) + packer.flush()


def unpack(decoder: msgspec.json.Decoder[Form], body: bytes, key: str) -> Form:
    """Raises TooNew for a form of a later release, Damaged."""
    unpacker = zlib.decompressobj(wbits=WINDOW)
    try:
        text = unpacker.decompress(body, MOST)
    except zlib.error as error:
        raise Damaged(f"{key} is damaged: {error}") from error
    if not unpacker.eof:
        raise Damaged(f"{key} is damaged: it is cut off, or larger than {MOST:,} bytes")
    return formats.decode(decoder, text, key)


def includes(ranges: Ranges, number: int) -> bool:
    return any(first <= number <= last for first, last in ranges)


def include(ranges: Ranges, number: int) -> None:
    """Add a number, and join ranges that touch."""
    spans = sorted([*ranges, [number, number]])
    ranges.clear()
    for first, last in spans:
        if ranges and first <= ranges[-1][1] + 1:
            ranges[-1][1] = max(ranges[-1][1], last)
        else:
            ranges.append([first, last])
