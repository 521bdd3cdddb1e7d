"""The unpacker: the process that reads a stranger's archive. The supervisor starts it; it confines itself first.

It writes the contents of the files one after the other into one file that it is given, since it can open none. It never
believes a size: what counts are the bytes that come out.

Job on standard input, answer on the file descriptor named in the job.
"""

from __future__ import annotations

import codecs
import errno
import gzip
import os
import stat
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any

import msgspec

from shared import keys
from shared.config import MiB
from shared.errors import BadInput
from shared.ingest.verdict import Refused, Unpacked, UnpackedFile
from shared.runtime import sandbox
from shared.uploads import undeclared
from shared.uploads.inbox_packages import GRAPH
from shared.uploads.sessions import MANIFEST_FILE, MAX_FILES, MODEL_FILE

MEMORY = 512 * MiB  # bytes of address space
CHUNK = 1 * MiB
MAX_PADDING = 64 * MiB  # after the last member of a tar
MAX_MEMBERS = 1000  # folders, and what is left out, included
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO)  # what the disk of the function is to blame for
REPACK = "pack the files of the package anew"
# what systems add of their own: never a part of a package, and no reason to refuse one
FOREIGN = ("__MACOSX",)
LINK_OR_DEVICE = "is neither a file nor a folder: put a copy of the file itself into the archive"

Read = Callable[[int], bytes]


class UnpackJob(msgspec.Struct):
    """files: the archive, as an open descriptor. spill: for the contents. most: bytes that may be written to it."""

    files: dict[str, int]
    answer: int
    spill: int
    most: int
    cpu: int
    sandbox: bool
    require_filter: bool


class Output:
    """The file of all contents. Raises Refused beyond `most` bytes, OSError where the disk has no room."""

    def __init__(self, descriptor: int, most: int) -> None:
        self._descriptor = descriptor
        self._left = most

    def copy(self, read: Read) -> int:
        """Append what is read, and return how many bytes that was."""
        size = 0
        while chunk := read(CHUNK):
            size += len(chunk)
            self._left -= len(chunk)
            if self._left < 0:
                raise Refused("too_large", "the archive holds more bytes than a package may have; make it smaller")
            rest = memoryview(chunk)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        return size


def main() -> None:
    sandbox.die_with_parent()
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=UnpackJob)
    codecs.lookup("cp437")  # of names in zip archives; in the sandbox no file can be opened any more
    zlib.decompressobj().decompress(zlib.compress(b"loaded"))
    os.rmdir(os.getcwd())
    sandbox.limit_resources(MEMORY, job.cpu, file_bytes=job.most)
    confined = sandbox.filter_system_calls() if job.sandbox else False
    exposed = job.sandbox and job.require_filter and not confined
    answer = Unpacked(confined) if exposed else _unpack(job, confined)
    rest = memoryview(msgspec.json.encode(answer))
    while rest:
        rest = rest[os.write(job.answer, rest) :]
    os._exit(0)


def _unpack(job: UnpackJob, confined: bool) -> Unpacked:
    [(name, descriptor)] = job.files.items()
    output = Output(job.spill, job.most)
    try:
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return Unpacked(confined, files=unpack(file, output))
    except Refused as refusal:
        return Unpacked(confined, code=refusal.code, reason=f"{name}: {refusal}")
    except MemoryError:
        return Unpacked(confined, code="bad_archive", reason=f"{name} takes too much memory to read; {REPACK}")
    except BadInput as error:
        return Unpacked(confined, code="bad_file_name", reason=f"{name}: {error}")
    except Exception as error:  # whatever a hostile archive provokes, its sender gets an answer
        if isinstance(error, OSError) and error.errno in DISK:
            return Unpacked(confined, interrupted=f"{error.strerror}")
        reason = f"{name} cannot be unpacked ({type(error).__name__}: {str(error)[:200]}); {REPACK}"
        return Unpacked(confined, code="bad_archive", reason=reason)


def unpack(file: IO[bytes], output: Output) -> list[UnpackedFile]:
    """Write the files of a package that is a zip, a tar or a gzipped tar. Raises Refused, and what the libraries do."""
    start = file.read(4)
    file.seek(0)
    read = _zip_members if start[:2] == b"PK" else _tar_members
    files: dict[str, int] = {}
    for path, content in read(file, start):
        if len(files) == MAX_FILES:
            raise Refused("too_many_files", f"it has more than {MAX_FILES} files: leave out those that are not needed")
        if path in files:
            raise Refused("bad_archive", f"it has two files {path[:200]!r}; {REPACK}")
        files[path] = output.copy(content)
    return [UnpackedFile(name, size) for name, size in _flattened(files).items()]


def _zip_members(file: IO[bytes], start: bytes) -> Iterator[tuple[str, Read]]:
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        _check_count(len(members))
        for member in members:
            path = _path(member.filename)
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise Refused("bad_archive", f"{path[:200]!r} {LINK_OR_DEVICE}")
            if member.is_dir() or _is_foreign(path):
                continue
            if member.flag_bits & 1:
                raise Refused("bad_archive", f"{path[:200]!r} is encrypted: pack it without a password")
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise Refused("bad_archive", f"{path[:200]!r} is not compressed by deflate: {REPACK} with `zip`")
            with archive.open(member) as content:
                yield path, content.read


def _tar_members(file: IO[bytes], start: bytes) -> Iterator[tuple[str, Read]]:
    if start[:2] != b"\x1f\x8b":
        yield from _members_of_stream(file)
        return
    # not tarfile's own "r|gz", which takes no notice of the sum at the end
    with gzip.GzipFile(fileobj=file) as plain:
        yield from _members_of_stream(plain)
        for _ in range(MAX_PADDING // CHUNK):
            if not plain.read(CHUNK):
                return
    raise Refused("bad_archive", f"it goes on after its end; {REPACK}")


def _members_of_stream(file: IO[bytes] | gzip.GzipFile) -> Iterator[tuple[str, Read]]:
    # as a stream: no index is made, and nothing is read twice
    count = 0
    with tarfile.open(fileobj=file, mode="r|") as archive:
        for member in archive:
            count += 1
            _check_count(count)
            path = _path(member.name)
            if member.isdir():
                continue
            if not member.isfile() or member.sparse is not None:
                raise Refused("bad_archive", f"{path[:200]!r} {LINK_OR_DEVICE}")
            if _is_foreign(path):
                continue
            content: Any = archive.extractfile(member)
            yield path, content.read


def _check_count(members: int) -> None:
    if members > MAX_MEMBERS:
        raise Refused("too_many_files", f"it has more than {MAX_MEMBERS:,} members: pack nothing but the package")


def _path(name: str) -> str:
    """A member's name without what means nothing. Raises Refused for one that leads out of the archive."""
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]:
        raise Refused("bad_archive", f"{name[:200]!r} leads out of the archive; {REPACK}")
    return "/".join(part for part in parts if part not in ("", "."))


def _is_foreign(path: str) -> bool:
    parts = path.split("/")
    return parts[0] in FOREIGN or any(part.startswith(".") for part in parts)


def _flattened(files: dict[str, int]) -> dict[str, int]:
    """The same files by their names in the package: without the one folder that all are in, if there is one.

    The only graph is model.onnx, whatever its name.
    """
    if not files:
        raise Refused("bad_archive", "it has no files: pack model.onnx, and what belongs to it")
    tops = {path.partition("/")[0] for path in files}
    if len(tops) == 1 and all("/" in path for path in files):
        files = {path.partition("/")[2]: size for path, size in files.items()}
    graphs = [path for path in files if path.lower().endswith(GRAPH)]
    if MANIFEST_FILE not in files and (problem := undeclared.problem("it", files, has_graph=bool(graphs))):
        raise Refused(problem.code, problem.reason)
    if inner := next((path for path in files if "/" in path), None):
        raise Refused("sub_folder", f"{inner[:200]!r} is in a folder within the package: put all files side by side")
    if len(graphs) == 1:
        files = {MODEL_FILE if path == graphs[0] else path: size for path, size in files.items()}
    return {keys.file_name(path): size for path, size in files.items()}


if __name__ == "__main__":
    main()
