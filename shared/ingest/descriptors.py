"""Reads the package's files by their open descriptors: in the sandbox no file can be opened."""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from shared.config import MiB

PERIOD = 0.02  # seconds: some 50 MB are read in it


def size(descriptor: int) -> int:
    """Bytes of the file."""
    return os.lseek(descriptor, 0, os.SEEK_END)


def read(descriptor: int, offset: int = 0, length: int | None = None) -> bytes:
    """length bytes from offset, or all up to the end; fewer if the file ends earlier."""
    end = size(descriptor) if length is None else offset + length
    chunks = []
    while offset < end:
        # pread: several readers share the descriptor, so its position is not used
        chunk = os.pread(descriptor, min(end - offset, 64 * MiB), offset)
        if not chunk:
            break
        chunks.append(chunk)
        offset += len(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def mapped(descriptor: int) -> mmap.mmap:
    """The file in memory, to be read. Its size is told, as Python would ask a system call that the sandbox refuses."""
    return mmap.mmap(descriptor, size(descriptor), access=mmap.ACCESS_READ)


@contextmanager
def letting_go(maps: Iterable[mmap.mmap]) -> Iterator[None]:
    """Meanwhile, pages of files that were read leave the process's memory again: what is read once need not stay there.

    The kernel has them, as long as it has room, so reading one once more is no reading of the disk.
    """
    maps, over = list(maps), threading.Event()

    def let_go() -> None:
        while not over.wait(PERIOD):
            for file in maps:
                file.madvise(mmap.MADV_DONTNEED)

    thread = threading.Thread(target=let_go, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
