"""The heap while a model is loaded: in large pages where the kernel has them, and given back in any case; the peak."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SIZE = 64 << 20
TOUCH = f"""
import ctypes, resource
from shared.runtime import memory

def anonymous():
    return [int(line.split()[1]) << 10 for line in open("/proc/self/status") if line.startswith("RssAnon")][0]

BREAK
before, faults = anonymous(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt
with memory.large_pages({SIZE}):
    blocks = [ctypes.create_string_buffer(b"x" * (1 << 20)) for _ in range({SIZE >> 21})]
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
    held = anonymous() - before
    del blocks
print(faults, held, anonymous() - before)
"""


def touch(patch: str = "") -> list[int]:
    """Page faults of touching half of the memory, and bytes that are resident then and at the end."""
    code = TOUCH.replace("BREAK", patch)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return [int(word) for word in done.stdout.split()]


def test_loading_touches_large_pages_where_there_are_some_and_leaves_none_behind() -> None:
    setting = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    large = setting.exists() and "[never]" not in setting.read_text()
    faults, held, left = touch()
    assert (faults < SIZE / 2 / 4096 / 4) == large
    assert held >= SIZE // 2 - (2 << 20)
    assert left < 4 << 20


@pytest.mark.parametrize(
    "patch",
    [
        "memory.MADV_HUGEPAGE = 12345",  # as a kernel without large pages refuses it
        "memory.LARGE_PAGE = 1 << 40",  # a heap that is smaller than one
    ],
)
def test_without_large_pages_all_is_as_before(patch: str) -> None:
    faults, held, left = touch(patch)
    assert faults >= SIZE / 2 / 4096 / 2
    assert held >= SIZE // 2 - (2 << 20)
    assert left < 4 << 20


LARGE = 300 << 20
STARTED = f"""
from shared.runtime import memory
read = memory.peak()
before = read()
block = b"x" * {SIZE}
del block
print(before, read())
"""
STARTER = f"""
import subprocess, sys
block = b"x" * {LARGE}
del block
print(subprocess.run([sys.executable, "-c", {STARTED!r}], capture_output=True, text=True, check=True).stdout)
"""


def test_the_peak_is_of_the_process_and_not_of_who_started_it() -> None:
    done = subprocess.run([sys.executable, "-c", STARTER], capture_output=True, text=True, check=True)
    before, after = (int(word) for word in done.stdout.split())
    assert 1 << 20 < before < LARGE // 2
    assert before + SIZE // 2 < after < LARGE
