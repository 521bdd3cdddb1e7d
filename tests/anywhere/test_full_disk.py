"""A full disk is said before anything is acknowledged: by `make run`, and by the embedded cloud's storage."""

from __future__ import annotations

import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local import room
from tests import servers

PYTHON = servers.ROOT / ".local" / "envs" / "cloud" / "bin" / "python"
BIGGEST = 200_000  # bytes of a file, where the limit of a process stands for the disk's


@contextmanager
def embedded(home: Path, *, biggest: int | None = None, **variables: str) -> Iterator[str]:
    """The embedded cloud's storage in a folder. biggest: no file may have more bytes."""
    [port] = servers.free_ports(1)
    (home / "s3").mkdir(exist_ok=True)
    env = {"PATH": os.defpath, "HOME": str(home), "LANG": "C.UTF-8", "TMPDIR": str(home), "GATEWAY_PORT": str(port)}
    env |= {"BIND_HOST": "127.0.0.1", "MINISTACK_HOST": "127.0.0.1", "LOG_LEVEL": "ERROR", "IOT_MTLS_ENABLED": "0"}
    env |= {"S3_PERSIST": "1", "S3_DATA_DIR": str(home / "s3")} | variables
    command = [str(PYTHON), str(servers.ROOT / "local" / "embedded.py")]
    if biggest:
        command = ["prlimit", f"--fsize={biggest}", "--", *command]
    with servers.running(command, home, env, f"http://127.0.0.1:{port}/_ministack/health"):
        yield f"http://127.0.0.1:{port}"


def ask(url: str, method: str = "GET", body: bytes | None = None) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, method=method)) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_storage_takes_nothing_when_the_disk_is_nearly_full(tmp_path: Path) -> None:
    with embedded(tmp_path) as url:
        assert ask(f"{url}/data", "PUT")[0] == 200
        assert ask(f"{url}/data/before", "PUT", b"kept")[0] == 200
    reserve = shutil.disk_usage(tmp_path).total
    with embedded(tmp_path, AMAAS_DISK_RESERVE=str(reserve)) as url:
        status, said = ask(f"{url}/data/after", "PUT", b"more")
        assert (status, b"disk of this machine is full" in said, b"free some space" in said) == (507, True, True)
        assert ask(f"{url}/data/after")[0] == 404
        assert ask(f"{url}/data/before") == (200, b"kept")
        assert ask(f"{url}/data/before", "DELETE")[0] == 204, "room can be made"


def test_what_could_not_be_written_is_not_acknowledged_and_not_there(tmp_path: Path) -> None:
    with embedded(tmp_path, biggest=BIGGEST) as url:
        ask(f"{url}/data", "PUT")
        assert ask(f"{url}/data/model", "PUT", b"old")[0] == 200
        for key, before in (("model", (200, b"old")), ("new", (404, None))):
            status, said = ask(f"{url}/data/{key}", "PUT", b"x" * 2 * BIGGEST)
            assert (status, b"disk" in said) == (507, True)
            present = ask(f"{url}/data/{key}")
            assert present[0] == before[0]
            assert before[1] in (None, present[1])
    with embedded(tmp_path) as url:
        assert ask(f"{url}/data/model") == (200, b"old")
        assert ask(f"{url}/data/new")[0] == 404


def test_make_run_says_that_room_is_needed(tmp_path: Path) -> None:
    room.check(tmp_path / "not" / "there" / "yet", 1)
    with pytest.raises(SystemExit, match=r"GiB free, and .* are needed: free some.*AMAAS_HOME"):
        room.check(tmp_path, shutil.disk_usage(tmp_path).total)
