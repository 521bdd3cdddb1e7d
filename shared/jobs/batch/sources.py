"""Reads the inputs of a chunk, in order: one for each that the plan counted, including those that are unreadable."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from shared.config import MiB
from shared.errors import AmaasError, Conflict, NotFound, TooLarge
from shared.jobs.batch import rows
from shared.jobs.batch.job import Job
from shared.jobs.batch.plan import Chunk
from shared.jobs.batch.records import record_spans
from shared.package.manifest import Manifest
from shared.storage.base import ObjectNotFound, Store

MAX_INPUT = 32 * MiB
MAX_HEADER = MiB  # of the first row of a CSV file, which every call reads
PARALLEL_READS = 8
JSON = "application/json"


class Input(Struct, frozen=True, kw_only=True):
    """One input. index: in the job. name: of its file, for rows with ":" and their number from 1.

    id: the client's own, from a line or a column `id`; it is repeated beside the answer. error: why it is unreadable.
    """

    index: int
    name: str
    body: bytes = b""
    content_type: str = JSON
    id: str | int | None = None
    error: AmaasError | None = None


class LineId(Struct):
    """The client's id in a line of JSON; all of the line is the request."""

    id: str | int | None = None


LINE_ID = msgspec.json.Decoder(LineId)
ROWS = msgspec.msgpack.Decoder(list[dict[str, Any]])
BOM = b"\xef\xbb\xbf"
Item = TypeVar("Item")
Request = tuple[bytes, str, str | int | None]  # body, content type, the client's id


def read_inputs(store: Store, job: Job, chunk: Chunk, manifest: Manifest, skip: int = 0) -> Generator[Input]:
    """The chunk's inputs from its input `skip` on. Raises Conflict when the file was replaced after it was planned."""
    if chunk.kind == "files":
        yield from _read_files(store, job, chunk, skip)
    elif chunk.kind == "rows":
        for position, row in _skip_first(skip, ROWS.decode(store.get(chunk.key).body)):
            yield _input(chunk, position, partial(_from_row, row, manifest))
    else:
        yield from _read_records(store, chunk, manifest, skip)


def _read_records(store: Store, chunk: Chunk, manifest: Manifest, skip: int) -> Iterator[Input]:
    if chunk.length > MAX_INPUT:  # the plan puts a record of this size into a chunk of its own
        error = TooLarge(f"the input has {chunk.length:,} bytes, more than {MAX_INPUT:,}: make it smaller")
        yield from _unreadable(chunk, error, skip)
        return
    if chunk.header > MAX_HEADER:
        error = TooLarge(f"the first row has {chunk.header:,} bytes, more than {MAX_HEADER:,}: is a quote not closed?")
        yield from _unreadable(chunk, error, skip)
        return
    header = rows.parse_csv_fields(_read_range(store, chunk, 0, chunk.header)) if chunk.kind == "csv" else []
    body = _read_range(store, chunk, chunk.start, chunk.length)
    for position, (start, length) in _skip_first(skip, record_spans([body], quoted=chunk.kind == "csv")):
        record = body[start : start + length]
        parse = partial(_from_csv, record, header, manifest) if chunk.kind == "csv" else partial(_from_line, record)
        yield _input(chunk, position, parse)


def _skip_first(skip: int, items: Iterable[Item]) -> Iterator[tuple[int, Item]]:
    return ((position, item) for position, item in enumerate(items) if position >= skip)


def _unreadable(chunk: Chunk, error: AmaasError, skip: int) -> Iterator[Input]:
    for position in range(skip, chunk.count):
        yield Input(index=chunk.first + position, name=_name(chunk, position), error=error)


def _name(chunk: Chunk, position: int) -> str:
    return f"{chunk.name}:{chunk.row + position + 1}"


def _input(chunk: Chunk, position: int, parse: Callable[[], Request]) -> Input:
    index, name = chunk.first + position, _name(chunk, position)
    try:
        body, content_type, client_id = parse()
    except AmaasError as error:
        return Input(index=index, name=name, error=error)
    return Input(index=index, name=name, body=body, content_type=content_type, id=client_id)


def _from_line(record: bytes) -> Request:
    """A line is the body of POST …/predict."""
    line = record.removeprefix(BOM).strip()
    try:
        return line, JSON, LINE_ID.decode(line).id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return line, JSON, None  # predict answers with what is wrong with the line


def _from_csv(record: bytes, header: list[str], manifest: Manifest) -> Request:
    return _from_row(rows.parse_csv_row(record, header), manifest)


def _from_row(row: dict[str, Any], manifest: Manifest) -> Request:
    # a column `id` is the client's, unless the model has an input of that name, or the row no other column
    has_id = "id" in row and len(row) > 1 and "id" not in {tensor.name for tensor in manifest.inputs}
    features = {column: value for column, value in row.items() if column != "id"} if has_id else row
    client_id = row["id"] if has_id and isinstance(row["id"], str | int) else None
    return *rows.build_request(features, manifest), client_id


def _read_range(store: Store, chunk: Chunk, start: int, length: int) -> bytes:
    part = store.get(chunk.key, start=start, length=length)
    if part.etag != chunk.etag:  # the plan's byte ranges are of another file
        raise Conflict(f"{chunk.name!r} was replaced after the job had started: create a new job")
    return part.body


def _read_files(store: Store, job: Job, chunk: Chunk, skip: int) -> Iterator[Input]:
    """Whole files, a few at a time, so that those in memory stay few."""

    def read(position: int) -> Input:
        name, size = chunk.files[position]
        content_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        index = chunk.first + position
        if size > MAX_INPUT:
            error = TooLarge(f"the file has {size:,} bytes, more than {MAX_INPUT:,}: make it smaller")
            return Input(index=index, name=name, error=error)
        try:
            return Input(index=index, name=name, body=store.get(f"{job.prefix}{name}").body, content_type=content_type)
        except ObjectNotFound:
            return Input(index=index, name=name, error=NotFound("the file was removed after the job had started"))

    with ThreadPoolExecutor(PARALLEL_READS) as pool:
        for start in range(skip, chunk.count, PARALLEL_READS):
            yield from pool.map(read, range(start, min(start + PARALLEL_READS, chunk.count)))
