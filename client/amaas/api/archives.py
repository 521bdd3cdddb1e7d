"""An archive of a package → its files in a folder. It takes what the service's inbox takes, and refuses the same."""

from __future__ import annotations

import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from amaas.errors import AmaasError

ZIPS, TARS = (".zip",), (".tar", ".tar.gz", ".tgz")
CHUNK = 1 << 20
MAX_MEMBERS = 1000
LEAST, RATIO = 100 << 20, 200  # bytes that any archive may hold, and times its own size that a larger one may
FOREIGN = "__MACOSX"  # what macOS adds of its own


class Member(NamedTuple):
    """name: as the archive has it. refused: why its content is not taken."""

    name: str
    content: IO[bytes] | None
    refused: str | None = None


def suffix(path: Path) -> str | None:
    """The ending of an archive's name; None of other files."""
    return next((end for end in (*ZIPS, *TARS) if path.name.lower().endswith(end)), None)


def unpack(path: Path, folder: Path) -> Path:
    """Write an archive's files below an empty folder; the folder that they are in. Raises AmaasError."""
    left = max(LEAST, RATIO * path.stat().st_size)
    members = _of_zip if suffix(path) in ZIPS else _of_tar
    try:
        for count, member in enumerate(members(path), 1):
            if count > MAX_MEMBERS:
                raise AmaasError(f"{path.name} has more than {MAX_MEMBERS:,} members: pack nothing but the package")
            left -= _written(path, member, folder, left)
    # NotImplementedError: how zipfile reports a compression that it does not know
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError, UnicodeError) as error:
        raise AmaasError(f"{path.name} cannot be unpacked ({error}): pack its files anew") from error
    inner = list(folder.iterdir())
    if not inner:
        raise AmaasError(f"{path.name} has no files: pack model.onnx, and what belongs to it")
    return inner[0] if len(inner) == 1 and inner[0].is_dir() else folder


def _written(path: Path, member: Member, folder: Path, left: int) -> int:
    """How many bytes a member has put into the folder; none of what is left out."""
    parts = [part for part in member.name.replace("\\", "/").split("/") if part not in ("", ".")]
    if member.name.startswith(("/", "\\")) or ".." in parts or (parts and ":" in parts[0]):
        raise AmaasError(f"{path.name}: {member.name[:200]!r} leads out of the archive: pack its files anew")
    if member.refused:
        raise AmaasError(f"{path.name}: {member.name[:200]!r} {member.refused}")
    if member.content is None or not parts or parts[0] == FOREIGN or any(part.startswith(".") for part in parts):
        return 0
    file = folder.joinpath(*parts)
    if file.exists():
        raise AmaasError(f"{path.name} has two files {member.name[:200]!r}: pack its files anew")
    size = 0
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("xb") as out:
            while chunk := member.content.read(CHUNK):
                size += len(chunk)
                if size > left:
                    raise AmaasError(
                        f"{path.name} holds {RATIO} times its own size and more: unpack it, and push the folder"
                    )
                out.write(chunk)
    except (FileExistsError, NotADirectoryError):
        raise AmaasError(f"{path.name} has a file and a folder {member.name[:200]!r}: pack its files anew") from None
    return size


def _of_zip(path: Path) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.is_dir():
                continue
            if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
                yield Member(member.filename, None, "is no file: put a copy of the file itself into the archive")
            elif member.flag_bits & 1:
                yield Member(member.filename, None, "is encrypted: pack it without a password")
            else:
                with archive.open(member) as content:
                    yield Member(member.filename, content)


def _of_tar(path: Path) -> Iterator[Member]:
    with tarfile.open(path, "r|*") as archive:
        for member in archive:
            if member.isdir():
                continue
            if not member.isfile():
                yield Member(member.name, None, "is no file: put a copy of the file itself into the archive")
            else:
                yield Member(member.name, archive.extractfile(member))
