"""How a job's inputs are divided into chunks: written once, so that every run divides them the same way.

The file's extension decides how it is read: .jsonl and .ndjson by lines, .csv and .parquet by rows, any other file is
one input. JSONL and CSV are not copied: a chunk is a byte range of the file. A Parquet reader cannot start in the
middle of a file, so the rows are copied into shards here, once, and workers need no Parquet reader.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from itertools import islice

import msgspec
from msgspec import Struct

from shared import batch_keys, formats
from shared.config import MiB
from shared.errors import BadInput
from shared.jobs.batch import parquet
from shared.jobs.batch.job import JSON, Job
from shared.jobs.batch.records import record_spans
from shared.storage.base import AlreadyExists, ObjectInfo, ObjectNotFound, Store, list_all
from shared.values import csvfile
from shared.values.csvfile import Dialect

BLOCK = 8 * MiB
# inputs per chunk, where the request does not say
RECORDS_PER_CHUNK = 500
FILES_PER_CHUNK = 50
CHUNK_BYTES = 64 * MiB
MAX_CHUNKS = 100_000
MOST_NAMED = 5
KINDS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet"}
COMPRESSED = (".gz", ".zip", ".bz2", ".xz", ".zst", ".tar", ".tgz", ".7z")


class Chunk(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="format", tag=1):
    """What one call of the worker does. first: the index of its first input in the whole job. count: of its inputs.

    kind jsonl, csv: `length` bytes from `start` of the object `key`, whose ETag is `etag`; `header` is the length of a
    CSV's first record, `delimiter` what is between its fields, empty in plans of 0.1. kind rows: the shard `key`. kind
    files: names under the job's prefix, with sizes in bytes. name: the file that the inputs come from; row: the number
    of the chunk's first input in that file, from 0.
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
    delimiter: str = ""
    files: list[tuple[str, int]] = []


class PlanSummary(Struct, frozen=True, tag_field="format", tag=1):
    """How many inputs and chunks a plan has: progress needs no more, and a plan may have 100,000 chunks."""

    inputs: int
    chunks: int


CHUNK = msgspec.json.Decoder(Chunk)
PLAN = msgspec.json.Decoder(list[Chunk])
PLAN_SUMMARY = msgspec.json.Decoder(PlanSummary)


def plan_key(job: str) -> str:
    return f"{batch_keys.batch(job)}plan.json"


def results_prefix(job: str) -> str:
    """Where the state machine writes what its workers returned: more than its own state may hold (256 kB)."""
    return f"{batch_keys.batch(job)}results"


def _summary_key(job: str) -> str:
    return f"{batch_keys.batch(job)}planned.json"


def read_summary(store: Store, job: str) -> PlanSummary | None:
    """None for a job that has no plan yet."""
    try:
        body = store.get(_summary_key(job)).body
        return formats.decode(PLAN_SUMMARY, body, f"the plan of batch job {job!r}")
    except ObjectNotFound:
        return None


def _decode_plan(body: bytes, job: str) -> list[Chunk]:
    try:
        return PLAN.decode(body)
    except msgspec.ValidationError:  # one of them says in which format it is
        return [chunk(part, job) for part in msgspec.json.decode(body, type=list[msgspec.Raw])]


def chunk(body: bytes, job: str) -> Chunk:
    """One chunk of a plan. Raises TooNew, Unavailable."""
    return formats.decode(CHUNK, body, f"a chunk of batch job {job!r}")


def create(store: Store, job: Job) -> PlanSummary:
    """Divide the inputs into chunks, once: a plan that exists stays. Raises BadInput for unreadable inputs."""
    present = read_summary(store, job.id)
    if present is not None:
        return present
    chunks = list(_numbered(_chunks(store, job)))
    if not chunks:
        raise BadInput(_why_none(store, job))
    try:
        store.put(plan_key(job.id), msgspec.json.encode(chunks), if_absent=True, content_type=JSON)
    except AlreadyExists:  # another planner was faster, and may have listed fewer files: its plan counts
        chunks = _decode_plan(store.get(plan_key(job.id)).body, job.id)
    summary = PlanSummary(sum(chunk.count for chunk in chunks), len(chunks))
    # after the plan: where there is a summary, the plan is complete
    store.put(_summary_key(job.id), msgspec.json.encode(summary), content_type=JSON)
    return summary


def _why_none(store: Store, job: Job) -> str:
    names = [info.key.removeprefix(job.prefix) for info in islice(list_all(store, job.prefix), MOST_NAMED)]
    if not names:
        return f"there is no input under {job.prefix}: send files, then start the job"
    return (
        f"there is no input in {names}: a CSV has one on each line behind its first, which names the columns, JSON "
        "Lines one on each line, Parquet one in each row"
    )


def _numbered(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    first = 0
    for number, chunk in enumerate(chunks):
        if number >= MAX_CHUNKS:
            raise BadInput(f"the inputs need more than {MAX_CHUNKS:,} chunks: divide them between jobs")
        yield msgspec.structs.replace(chunk, number=number, first=first)
        first += chunk.count


def _chunks(store: Store, job: Job) -> Iterator[Chunk]:
    files: list[tuple[str, int]] = []  # name and size of whole files that wait for their chunk
    for info in list_all(store, job.prefix):
        name = info.key.removeprefix(job.prefix)
        kind = input_kind(name, job)
        if name.endswith("/") and not info.size:
            continue  # the empty object that consoles create for a folder
        if kind != "files":
            # before the file's own chunks: inputs are numbered in the order of their keys
            yield from _files_chunk(files)
            files = []
            yield from _file_chunks(store, job, kind, name, info)
            continue
        if len(files) >= (job.chunk or FILES_PER_CHUNK) or sum(size for _, size in files) + info.size > CHUNK_BYTES:
            yield from _files_chunk(files)
            files = []
        files.append((name, info.size))
    yield from _files_chunk(files)


def input_kind(name: str, job: Job) -> str:
    """How a file is read. Raises BadInput for a compressed file: as one input it would make no sense."""
    if job.kind:
        return job.kind
    extension = os.path.splitext(name)[1].lower()
    if extension in COMPRESSED:
        raise BadInput(f"{name!r} is compressed: unpack it, or set kind to say how to read it")
    return KINDS.get(extension, "files")


def _files_chunk(files: list[tuple[str, int]]) -> Iterator[Chunk]:
    if files:
        yield Chunk(number=0, kind="files", first=0, count=len(files), files=files)


def _file_chunks(store: Store, job: Job, kind: str, name: str, info: ObjectInfo) -> Iterator[Chunk]:
    if kind == "parquet":
        yield from _parquet_chunks(store, job, name, info)
        return
    blocks = _read_blocks(store, info)
    written = dialect(job)
    spans = csvfile.file_spans(blocks, written) if kind == "csv" else record_spans(blocks, quoted=False)
    header = next(spans, (0, 0))[1] if kind == "csv" else 0
    row = 0
    for start, length, count in _group_spans(spans, job.chunk or RECORDS_PER_CHUNK):
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
            delimiter=written.delimiter if kind == "csv" else "",
        )
        row += count


def dialect(job: Job, delimiter: str = "") -> Dialect:
    """How a job's CSV files are written. delimiter: as a plan has it. Raises BadInput."""
    said = csvfile.dialect_of(job.options, job.csv)
    return said._replace(delimiter=delimiter or said.delimiter)


def _read_blocks(store: Store, info: ObjectInfo) -> Iterator[bytes]:
    for start in range(0, info.size, BLOCK):
        yield store.get(info.key, start=start, length=min(BLOCK, info.size - start)).body


def _group_spans(spans: Iterator[tuple[int, int]], limit: int) -> Iterator[tuple[int, int, int]]:
    """Byte ranges of up to `limit` records, and of up to BLOCK bytes or one record: start, length, count."""
    begin = stop = count = 0
    for start, length in spans:
        if count and (count == limit or start + length - begin > BLOCK):
            yield begin, stop - begin, count
            count = 0
        begin = begin if count else start
        stop, count = start + length, count + 1
    if count:
        yield begin, stop - begin, count


def _parquet_chunks(store: Store, job: Job, name: str, info: ObjectInfo) -> Iterator[Chunk]:
    # the ETag too: shards of a file that was replaced must not pass for those of the new one
    mark = hashlib.sha256(f"{info.key}\n{info.etag}".encode()).hexdigest()[:16]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "rows.parquet")
        store.download(info.key, path)
        row = 0
        for number, rows in enumerate(parquet.read_rows(path, name, job.chunk or RECORDS_PER_CHUNK)):
            key = f"{batch_keys.batch(job.id)}plan/{mark}-{number:06d}.msgpack"
            store.put(key, msgspec.msgpack.encode(rows))
            yield Chunk(number=0, kind="rows", first=0, count=len(rows), key=key, name=name, row=row)
            row += len(rows)
