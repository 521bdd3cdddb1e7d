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
from shared.errors import AmaasError, BadInput, Conflict, NotFound, TooLarge
from shared.jobs.batch import plan, rows
from shared.jobs.batch.job import Job
from shared.jobs.batch.plan import Chunk
from shared.jobs.batch.records import record_spans
from shared.package.manifest import Manifest
from shared.package.table import Table
from shared.storage.base import ObjectNotFound, Store
from shared.values import csvfile
from shared.values.csvfile import Dialect
from shared.values.table import Reader
from shared.values.texts import MARK

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
Item = TypeVar("Item")
Request = tuple[bytes, str, str | int | None]  # body, content type, the client's id
Spans = Callable[[Iterable[bytes]], Iterator[tuple[int, int]]]
Parse = Callable[[bytes], Request]


def read_inputs(store: Store, job: Job, chunk: Chunk, manifest: Manifest, skip: int = 0) -> Generator[Input]:
    """The chunk's inputs from its input `skip` on. Raises Conflict when the file was replaced after it was planned."""
    if chunk.kind == "files":
        yield from _read_files(store, job, chunk, skip)
    elif chunk.kind == "rows":
        for position, row in _skip_first(skip, ROWS.decode(store.get(chunk.key).body)):
            yield _input(chunk, position, partial(_from_row, row, manifest))
    else:
        yield from _read_records(store, job, chunk, manifest, skip)


def _read_records(store: Store, job: Job, chunk: Chunk, manifest: Manifest, skip: int) -> Iterator[Input]:
    if chunk.length > MAX_INPUT:  # the plan puts a record of this size into a chunk of its own
        error = TooLarge(f"the input has {chunk.length:,} bytes, more than {MAX_INPUT:,}: make it smaller")
        yield from _unreadable(chunk, error, skip)
        return
    if chunk.header > MAX_HEADER:
        error = TooLarge(f"the first row has {chunk.header:,} bytes, more than {MAX_HEADER:,}: is a quote not closed?")
        yield from _unreadable(chunk, error, skip)
        return
    try:
        spans, parse = _reading(store, job, chunk, manifest)
    except BadInput as error:  # what the first line says holds for all rows of the file
        yield from _unreadable(chunk, error, skip)
        return
    body = _read_range(store, chunk, chunk.start, chunk.length)
    for position, (start, length) in _skip_first(skip, spans([body])):
        yield _input(chunk, position, partial(parse, body[start : start + length]))


def _reading(store: Store, job: Job, chunk: Chunk, manifest: Manifest) -> tuple[Spans, Parse]:
    """How a chunk's bytes are divided, and what is made of a part."""
    if chunk.kind != "csv":
        return partial(record_spans, quoted=False), _from_line
    head = _read_range(store, chunk, 0, chunk.header)
    reader = Reader(manifest.preprocess) if isinstance(manifest.preprocess, Table) else None
    known = reader.names if reader else {tensor.name for tensor in (*manifest.inputs, *manifest.optional)}
    header, dialect = csvfile.names(head, plan.dialect(job, chunk.delimiter), known)
    # plans of earlier releases have counted by other rules, which say nothing of what is between fields
    spans = partial(csvfile.record_spans, dialect=dialect) if chunk.delimiter else partial(record_spans, quoted=True)
    return spans, partial(_from_csv, header=header, dialect=dialect, reader=reader, manifest=manifest)


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
    line = record.removeprefix(MARK).strip()
    try:
        return line, JSON, LINE_ID.decode(line).id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return line, JSON, None  # predict answers with what is wrong with the line


def _from_csv(record: bytes, header: list[str], dialect: Dialect, reader: Reader | None, manifest: Manifest) -> Request:
    row: dict[str, Any] = csvfile.row(record, header, dialect)
    return _from_row(reader.read_numbers(row, dialect.decimal) if reader else row, manifest, dialect.decimal)


def _from_row(row: dict[str, Any], manifest: Manifest, decimal: str = ".") -> Request:
    # a column `id` is the client's, unless the model has one of that name, or the row no other column
    has_id = "id" in row and len(row) > 1 and not _takes(manifest, "id")
    features = {column: value for column, value in row.items() if column != "id"} if has_id else row
    client_id = row["id"] if has_id and isinstance(row["id"], str | int) else None
    return *rows.build_request(features, manifest, decimal), client_id


def _takes(manifest: Manifest, name: str) -> bool:
    """Whether the model has an input, or a column, of that name."""
    if isinstance(manifest.preprocess, Table) and name in {column.name for column in manifest.preprocess.columns}:
        return True
    return name in {tensor.name for tensor in (*manifest.inputs, *manifest.optional)}


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
