"""Ranges of large objects in the embedded cloud: a model of a gigabyte comes in a hundred of them."""

from __future__ import annotations

import random
import urllib.request
from pathlib import Path

from tests.anywhere.test_full_disk import ask, embedded

SIZE = 64_000_000


def range_of(url: str, first: int, last: int) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Range": f"bytes={first}-{last}"})) as reply:
        assert reply.status == 206
        assert reply.headers["Content-Range"] == f"bytes {first}-{last}/{SIZE}"
        return bytes(reply.read())


def read_so_far(home: Path) -> int:
    """Bytes that the server with this folder has read, by calls of the system."""
    [status] = [
        process / "io" for process in Path("/proc").iterdir() if process.name.isdigit() and _is_server(process, home)
    ]
    return int(next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("rchar")))


def _is_server(process: Path, home: Path) -> bool:
    try:
        arguments, variables = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
    except OSError:  # it is over, or another user's
        return False
    return b"embedded.py" in arguments and f"S3_DATA_DIR={home / 's3'}".encode() in variables


def test_a_range_is_read_without_the_rest(tmp_path: Path) -> None:
    body = random.Random(0).randbytes(SIZE)
    with embedded(tmp_path) as url:
        ask(f"{url}/data", "PUT")
        assert ask(f"{url}/data/model", "PUT", body)[0] == 200
    with embedded(tmp_path) as url:  # which has it on the disk only
        before = read_so_far(tmp_path)
        for first in (0, 1, SIZE // 2, SIZE - 1000):
            assert range_of(f"{url}/data/model", first, first + 999) == body[first : first + 1000][:1000]
        assert read_so_far(tmp_path) - before < SIZE / 2
        assert ask(f"{url}/data/model") == (200, body)
        assert ask(f"{url}/data/empty", "PUT", b"")[0] == 200
        assert ask(f"{url}/data/empty") == (200, b"")
