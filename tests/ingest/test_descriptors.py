"""Files of a package, by their open descriptors."""

from __future__ import annotations

import os
import time
from pathlib import Path

from shared.ingest import descriptors

SIZE = 64 << 20


def mapped_bytes() -> int:
    """Of files, in this process's memory."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssFile:")[1].split()[0]) * 1024


def test_pages_of_a_file_leave_the_memory_again(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"\1" * SIZE)
    file = os.open(path, os.O_RDONLY)
    weights = descriptors.mapped(file)
    os.close(file)
    before = mapped_bytes()
    assert sum(weights[::4096]) == SIZE // 4096
    assert mapped_bytes() - before > SIZE * 0.9, "without it, they stay"
    with descriptors.letting_go([weights]):
        until = time.monotonic() + 30
        while mapped_bytes() - before > SIZE * 0.1 and time.monotonic() < until:
            time.sleep(descriptors.PERIOD)
        assert mapped_bytes() - before < SIZE * 0.1
        assert sum(weights[::4096]) == SIZE // 4096
