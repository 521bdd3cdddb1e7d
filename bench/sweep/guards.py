"""The guard-page allocator of guard.c: built when first needed, preloaded into the process that runs operators."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

SOURCE = Path(__file__).with_name("guard.c")
REGION = 65 << 30  # bytes of addresses that it reserves, above what the process may have otherwise


def build(folder: Path) -> Path:
    """The library to preload, compiled into a folder."""
    compiler = shutil.which("cc") or sys.exit("a C compiler is missing: install Debian's package gcc")
    library = folder / "guard.so"
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"], check=True)
    return library


class Guards:
    """What the preloaded library does for one case. Without the library, nothing is guarded."""

    def __init__(self) -> None:
        library = ctypes.CDLL(None)
        self.active = "GUARD_SIDE" in os.environ and bool(library.guard_available())
        if self.active:
            library.guard_allocate.restype = ctypes.c_void_p
            library.guard_allocate.argtypes = [ctypes.c_size_t]
            library.guard_release.argtypes = [ctypes.c_void_p]
        self._library = library

    @contextmanager
    def inputs(self, feeds: dict[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
        """The same arrays, each against a guard page. Texts stay where they are."""
        addresses: list[int] = []
        placed = {name: self._placed(array, addresses) for name, array in feeds.items()} if self.active else feeds
        yield placed
        for address in addresses:
            self._library.guard_release(address)

    def _placed(self, array: np.ndarray, addresses: list[int]) -> np.ndarray:
        if array.dtype.hasobject or not array.nbytes:
            return array
        address = self._library.guard_allocate(array.nbytes)
        if not address:
            return array
        addresses.append(address)
        memory: Any = (ctypes.c_char * array.nbytes).from_address(address)
        copy = np.frombuffer(memory, array.dtype).reshape(array.shape)
        copy[...] = array
        return copy

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Whatever is allocated within has a guard page."""
        if not self.active:
            yield
            return
        self._library.guard_begin()
        try:
            yield
        finally:
            self._library.guard_end()
