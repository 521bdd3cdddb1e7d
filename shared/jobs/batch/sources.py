"""The inputs of a chunk, in their order: one for each that the plan counted, also for those that cannot be read."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Iterable, Iterator
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
from shared.jobs.batch.records import spans
from shared.package.manifest import Manifest
from shared.storage.base import ObjectNotFound, Store

MAX_INPUT = 32 * MiB
AHEAD = 8  # files that are fetched at the same time
JSON = "application/json"


class Input(Struct, frozen=True, kw_only=True):
    """One input. name: the file it comes from, with a row's number behind a colon, from 1. id: its sender's own."""

    index: int
    name: str
    body: bytes = b""
    content_type: str = JSON
    id: str | int | None = None
    error: AmaasError | None = None


class Named(Struct):
    """A line that says which input it is; the rest of it is the request."""

    id: str | int | None = None


NAMED = msgspec.json.Decoder(Named)
ROWS = msgspec.msgpack.Decoder(list[dict[str, Any]])
BOM = b"\xef\xbb\xbf"
Item = TypeVar("Item")


def inputs(store: Store, job: Job, chunk: Chunk, manifest: Manifest, skip: int = 0) -> Iterator[Input]:
    """The chunk's inputs from number `skip` on. Raises Conflict when the file was replaced after it was planned."""
    if chunk.kind == "files":
        yield from _files(store, job, chunk, skip)
    elif chunk.kind == "rows":
        for place, row in _after(skip, ROWS.decode(store.get(chunk.key).body)):
            yield _input(chunk, place, partial(_of_row, row, manifest))
    else:
        yield from _records(store, chunk, manifest, skip)


def _records(store: Store, chunk: Chunk, manifest: Manifest, skip: int) -> Iterator[Input]:
    if chunk.length > MAX_INPUT:  # the plan puts a record of this size into a chunk of its own
        yield from _alone(chunk, TooLarge(f"the input has {chunk.length:,} bytes, more than {MAX_INPUT:,}"), skip)
        return
    header = rows.cells(_stretch(store, chunk, 0, chunk.header)) if chunk.kind == "csv" else []
    body = _stretch(store, chunk, chunk.start, chunk.length)
    for place, (start, length) in _after(skip, spans([body], quoted=chunk.kind == "csv")):
        record = body[start : start + length]
        read = partial(_of_csv, record, header, manifest) if chunk.kind == "csv" else partial(_of_line, record)
        yield _input(chunk, place, read)


def _after(skip: int, items: Iterable[Item]) -> Iterator[tuple[int, Item]]:
    return ((place, item) for place, item in enumerate(items) if place >= skip)


def _alone(chunk: Chunk, error: AmaasError, skip: int) -> Iterator[Input]:
    for place in range(skip, chunk.count):
        yield Input(index=chunk.first + place, name=_name(chunk, place), error=error)


def _name(chunk: Chunk, place: int) -> str:
    return f"{chunk.name}:{chunk.row + place + 1}"


def _input(chunk: Chunk, place: int, read: Callable[[], tuple[bytes, str, str | int | None]]) -> Input:
    index, name = chunk.first + place, _name(chunk, place)
    try:
        body, content_type, own = read()
    except AmaasError as error:
        return Input(index=index, name=name, error=error)
    return Input(index=index, name=name, body=body, content_type=content_type, id=own)


def _of_line(record: bytes) -> tuple[bytes, str, str | int | None]:
    """A line is the request itself, as POST …/predict takes it; its `id` comes back with the answer."""
    line = record.removeprefix(BOM).strip()
    try:
        return line, JSON, NAMED.decode(line).id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return line, JSON, None  # what is wrong with it, predict will say


def _of_csv(record: bytes, header: list[str], manifest: Manifest) -> tuple[bytes, str, str | int | None]:
    return _of_row(rows.of_csv(record, header), manifest)


def _of_row(row: dict[str, Any], manifest: Manifest) -> tuple[bytes, str, str | int | None]:
    own = row.get("id")
    known = "id" in row and len(row) > 1 and "id" not in {tensor.name for tensor in manifest.inputs}
    rest = {column: value for column, value in row.items() if column != "id"} if known else row
    return *rows.request(rest, manifest), own if known and isinstance(own, str | int) else None


def _stretch(store: Store, chunk: Chunk, start: int, length: int) -> bytes:
    found = store.get(chunk.key, start=start, length=length)
    if found.etag != chunk.etag:
        raise Conflict(f"{chunk.name!r} was replaced after the job had begun: start a new job")
    return found.body


def _files(store: Store, job: Job, chunk: Chunk, skip: int) -> Iterator[Input]:
    """Fetched some at a time: what is not used yet stays bounded."""

    def one(place: int) -> Input:
        name, size = chunk.files[place]
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        index = chunk.first + place
        if size > MAX_INPUT:
            why = TooLarge(f"the file has {size:,} bytes, more than {MAX_INPUT:,}")
            return Input(index=index, name=name, error=why)
        try:
            return Input(index=index, name=name, body=store.get(f"{job.prefix}{name}").body, content_type=kind)
        except ObjectNotFound:
            return Input(index=index, name=name, error=NotFound("the file was removed after the job had begun"))

    with ThreadPoolExecutor(AHEAD) as pool:
        for start in range(skip, chunk.count, AHEAD):
            yield from pool.map(one, range(start, min(start + AHEAD, chunk.count)))
