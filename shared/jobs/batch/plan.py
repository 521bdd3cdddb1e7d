"""How a job's inputs are divided into chunks: written once, so that every run divides them the same way.

A file is read by what its name says: .jsonl and .ndjson by lines, .csv by rows, .parquet by rows, any other file is one
input. JSONL and CSV stay where they are, a chunk names a stretch of bytes. Parquet cannot be entered in the middle
without reading it, so its rows are copied into shards here, once, and workers need no Parquet reader.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from shared import formats, keys
from shared.config import MiB
from shared.errors import BadInput
from shared.jobs.batch import parquet
from shared.jobs.batch.job import JSON, Job
from shared.jobs.batch.records import spans
from shared.storage.base import AlreadyExists, ObjectInfo, ObjectNotFound, Store, list_all

BLOCK = 8 * MiB
RECORDS = 500  # inputs of a chunk, where the request does not say
FILES = 50
CHUNK_BYTES = 64 * MiB
MOST_CHUNKS = 100_000
ENDINGS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet"}
PACKED = (".gz", ".zip", ".bz2", ".xz", ".zst", ".tar", ".tgz", ".7z")


class Chunk(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="format", tag=1):
    """What one worker does at a time. first: the index of its first input in the whole job. count: its inputs.

    jsonl, csv: `length` bytes from `start` of the object `key`, whose ETag is `etag`; `header` is the length of a CSV's
    first record. rows: the shard `key`. files: names below the job's prefix, with sizes in bytes. name: of the file
    that the inputs come from, and `row` which of its inputs the first one is.
    """

    number: int
    kind: str
    first: int
    count: int
    key: str = ""
    name: str = ""
    row: int = 0
    etag: str = ""
    start: int = 0
    length: int = 0
    header: int = 0
    files: list[tuple[str, int]] = []


class Planned(Struct, frozen=True, tag_field="format", tag=1):
    inputs: int
    chunks: int


CHUNK = msgspec.json.Decoder(Chunk)
PLAN = msgspec.json.Decoder(list[Chunk])
PLANNED = msgspec.json.Decoder(Planned)


def plan_key(job: str) -> str:
    return f"{keys.batch(job)}plan.json"


def results_prefix(job: str) -> str:
    """Where the state machine writes what its workers returned, which may be more than it can hold."""
    return f"{keys.batch(job)}results"


def planned(store: Store, job: str) -> Planned | None:
    try:
        made: Planned = formats.decode(
            PLANNED, store.get(f"{keys.batch(job)}planned.json").body, f"the plan of batch job {job!r}"
        )
        return made
    except ObjectNotFound:
        return None


def _chunks_of(body: bytes, job: str) -> list[Chunk]:
    try:
        return PLAN.decode(body)
    except msgspec.ValidationError:  # one of them says in which format it is
        return [chunk(part, job) for part in msgspec.json.decode(body, type=list[msgspec.Raw])]


def chunk(body: bytes, job: str) -> Chunk:
    """One chunk of a plan. Raises TooNew, Unavailable."""
    decoded: Chunk = formats.decode(CHUNK, body, f"a chunk of batch job {job!r}")
    return decoded


def plan(store: Store, job: Job) -> Planned:
    """Divide the inputs, unless that is done already. Raises BadInput for what cannot be read as inputs."""
    there = planned(store, job.id)
    if there is not None:
        return there
    chunks = list(_numbered(_chunks(store, job)))
    if not chunks:
        raise BadInput(f"there is no input beneath {job.prefix}: send files before the start")
    try:
        store.put(plan_key(job.id), msgspec.json.encode(chunks), if_absent=True, content_type=JSON)
    except AlreadyExists:  # another planner was faster, and may have seen fewer files: its plan is the plan
        chunks = _chunks_of(store.get(plan_key(job.id)).body, job.id)
    made = Planned(sum(chunk.count for chunk in chunks), len(chunks))
    store.put(f"{keys.batch(job.id)}planned.json", msgspec.json.encode(made), content_type=JSON)
    return made


def _numbered(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    first = 0
    for number, chunk in enumerate(chunks):
        if number >= MOST_CHUNKS:
            raise BadInput(f"the inputs make more than {MOST_CHUNKS:,} chunks: divide them between jobs")
        yield msgspec.structs.replace(chunk, number=number, first=first)
        first += chunk.count


def _chunks(store: Store, job: Job) -> Iterator[Chunk]:
    single: list[tuple[str, int]] = []
    for info in list_all(store, job.prefix):
        name = info.key.removeprefix(job.prefix)
        kind = kind_of(name, job)
        if name.endswith("/") and not info.size:
            continue  # what consoles make for a folder
        if kind != "files":
            yield from _flushed(single)
            single = []
            yield from _of_file(store, job, kind, name, info)
            continue
        if len(single) >= (job.chunk or FILES) or sum(size for _, size in single) + info.size > CHUNK_BYTES:
            yield from _flushed(single)
            single = []
        single.append((name, info.size))
    yield from _flushed(single)


def kind_of(name: str, job: Job) -> str:
    """How a file is read. Raises BadInput for a packed one, which would be one senseless input."""
    if job.kind:
        return job.kind
    ending = os.path.splitext(name)[1].lower()
    if ending in PACKED:
        raise BadInput(f"{name!r} is packed: unpack it, or say how it is to be read with kind")
    return ENDINGS.get(ending, "files")


def _flushed(files: list[tuple[str, int]]) -> Iterator[Chunk]:
    if files:
        yield Chunk(number=0, kind="files", first=0, count=len(files), files=files)


def _of_file(store: Store, job: Job, kind: str, name: str, info: ObjectInfo) -> Iterator[Chunk]:
    if kind == "parquet":
        yield from _shards(store, job, name, info)
        return
    found = spans(_blocks(store, info), quoted=kind == "csv")
    header = next(found, (0, 0))[1] if kind == "csv" else 0
    row = 0
    for start, length, count in _grouped(found, job.chunk or RECORDS):
        yield Chunk(
            number=0,
            kind=kind,
            first=0,
            count=count,
            key=info.key,
            name=name,
            row=row,
            etag=info.etag,
            start=start,
            length=length,
            header=header,
        )
        row += count


def _blocks(store: Store, info: ObjectInfo) -> Iterator[bytes]:
    for start in range(0, info.size, BLOCK):
        yield store.get(info.key, start=start, length=min(BLOCK, info.size - start)).body


def _grouped(found: Iterator[tuple[int, int]], most: int) -> Iterator[tuple[int, int, int]]:
    """Records as stretches: start, length, count."""
    begin = stop = count = 0
    for start, length in found:
        if count and (count == most or start + length - begin > BLOCK):
            yield begin, stop - begin, count
            count = 0
        begin = begin if count else start
        stop, count = start + length, count + 1
    if count:
        yield begin, stop - begin, count


def _shards(store: Store, job: Job, name: str, info: ObjectInfo) -> Iterator[Chunk]:
    mark = hashlib.sha256(f"{info.key}\n{info.etag}".encode()).hexdigest()[:16]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "rows.parquet")
        store.download(info.key, path)
        row = 0
        for number, rows in enumerate(parquet.batches(path, name, job.chunk or RECORDS)):
            key = f"{keys.batch(job.id)}plan/{mark}-{number:06d}.msgpack"
            store.put(key, msgspec.msgpack.encode(rows))
            yield Chunk(number=0, kind="rows", first=0, count=len(rows), key=key, name=name, row=row)
            row += len(rows)
