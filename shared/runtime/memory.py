"""A process's memory, and the C library's heap: large pages while a model is loaded, and what is unused given back.

What is done to the heap needs glibc (mallopt(3), malloc_trim(3)), or changes nothing. Numbers: its malloc.h, and
linux/mman.h.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4
MADV_HUGEPAGE = 14
LARGE_PAGE = 2 << 20
MOST_MMAP_MAX = 65536  # glibc's default
# As glibc sets them by itself when blocks of that size are freed: what a call takes, the next one has without asking.
MMAP_THRESHOLD, TRIM_THRESHOLD = 32 << 20, 64 << 20
OF_TOKENS = 8 << 20  # logits of a vocabulary, and activations


STATUS = 8192  # bytes of /proc/self/status, at most


def peak() -> Callable[[], int]:
    """A function that reads the largest resident memory of this process so far, in bytes; in a sandbox, too.

    getrusage has another figure: its ru_maxrss begins with that of the process which started this one.
    """
    status = os.open("/proc/self/status", os.O_RDONLY | os.O_CLOEXEC)

    def read() -> int:
        _, _, rest = os.pread(status, STATUS, 0).partition(b"VmHWM:")
        return int(rest.split()[0]) << 10

    return read


def trim() -> None:
    """Return freed memory to the system. Takes some milliseconds."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def keep() -> None:
    """Have what a token takes stay for the next one, and what a prompt takes given back."""
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD)
        library.mallopt(M_TRIM_THRESHOLD, OF_TOKENS)
        library.malloc_trim(0)  # of what loading took


@contextmanager
def large_pages(size: int) -> Iterator[None]:
    """Have the process's next `size` bytes of heap in large pages; of a process with one thread, that has one model.

    Loading touches each page of a model's weights for the first time, which in pages of 4 KiB takes half of the time.
    """
    if library := _prepared(size):
        try:
            yield
        finally:
            library.mallopt(M_MMAP_MAX, MOST_MMAP_MAX)
            library.mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD)
            library.mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD)
            library.malloc_trim(0)
    else:
        yield


def _prepared(size: int) -> ctypes.CDLL | None:
    """The C library, whose heap has grown by `size` bytes that are unused yet; None where it cannot."""
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt"):
        return None
    library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    library.free.argtypes = [ctypes.c_void_p]
    library.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    library.mallopt(M_MMAP_MAX, 0)  # large blocks, too, are of the heap
    library.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
    if start := library.malloc(size):
        library.free(start)
        first, last = -(-start // LARGE_PAGE) * LARGE_PAGE, (start + size) // LARGE_PAGE * LARGE_PAGE
        if last > first:  # refused where the kernel has none: then the pages are small
            library.madvise(first, last - first, MADV_HUGEPAGE)
    return library
