"""A package that came as an archive: its files, side by side in a folder. A confined process reads the archive."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from shared.errors import Unavailable
from shared.ingest import supervisor
from shared.ingest.candidate import Rejected
from shared.ingest.verdict import Limits, Refused, UnpackedFile

COPY = 2**30  # bytes that one call may copy


def unpack(archive: Path, folder: Path, most: int, limits: Limits) -> dict[str, Path]:
    """The files of a package by their names, as new files in `folder`; the archive is removed.

    most: bytes that they may have together. Raises Rejected; Unavailable where the disk has no room at present.
    """
    spill = folder / ".unpacked"  # no file of a package may start with a dot
    free = shutil.disk_usage(folder).free
    try:
        unpacked = supervisor.unpack(archive, spill, min(most, free), limits)
    except Refused as refusal:
        if refusal.code == "too_large" and free < most:
            raise Unavailable(
                f"{archive.name} holds more than the {free:,} bytes that are free: wait for room"
            ) from refusal
        raise Rejected(refusal.code, str(refusal)) from refusal
    archive.unlink()
    files = unpacked.files or []
    target = folder / "files"
    target.mkdir()
    paths = _split(spill, files, target)
    spill.unlink()
    return paths


def _split(spill: Path, files: list[UnpackedFile], folder: Path) -> dict[str, Path]:
    """Divide the contents into files, the last one first: what is copied is cut off, so that no byte is there twice."""
    paths = {file.name: folder / file.name for file in files}
    end = sum(file.size for file in files)
    with spill.open("r+b") as source:
        for file in reversed(files):
            end -= file.size
            with paths[file.name].open("xb") as target:
                _copy(source.fileno(), target.fileno(), end, file.size)
            source.truncate(end)
    return paths


def _copy(source: int, target: int, start: int, size: int) -> None:
    while size:
        done = os.sendfile(target, source, start, min(size, COPY))
        if not done:
            raise OSError("the unpacked contents are shorter than they were said to be")
        start, size = start + done, size - done
