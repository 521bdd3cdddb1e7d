"""One fresh clone with `make run` in it, for all tests of this folder.

The folder's name has a space and an umlaut, the home is empty, PATH is the system's, and nothing is installed in the
Python. Only uv's cache is this user's own, so that packages are not fetched again: without it, it takes a minute more.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tools import interpreter

ROOT = Path(__file__).resolve().parents[2]
CACHE = os.environ.get("UV_CACHE_DIR") or str(Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "uv")
# of a machine behind a proxy, and of its certificates
PASSED = ("SSL_CERT_FILE", "SSL_CERT_DIR", "PIP_CERT", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy")


class Clone:
    """A copy of what git tracks, as it is in the working tree."""

    def __init__(self, folder: Path, home: Path, python: Path) -> None:
        self.folder, self.shown = folder, ""
        env = {name: os.environ[name] for name in PASSED if name in os.environ}
        port = {"AMAAS_PORT": str(_free_port()), "UV_CACHE_DIR": CACHE}
        self.env = env | port | {"HOME": str(home), "PATH": f"{python.parent}:/usr/bin:/bin"}

    def make(self, *targets: str) -> str:
        """What make said. Raises AssertionError with it when it failed."""
        done = subprocess.run(
            ["make", *targets], cwd=self.folder, env=self.env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def call(self, method: str, path: str, body: bytes | None = None, content_type: str = "application/json") -> Any:
        """One call of the API with the administrator's token; the JSON answer."""
        access = json.loads((self.folder / ".local" / "amaas.json").read_text())
        headers = {"Authorization": f"Bearer {access['token']}", "Content-Type": content_type}
        request = urllib.request.Request(access["api_url"] + path, body, headers, method=method)
        with urllib.request.urlopen(request) as reply:
            return json.load(reply)

    def cloud(self) -> int:
        """The process of the embedded cloud."""
        return int((self.folder / ".local" / "cloud.pid").read_text().split()[0])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _copy(folder: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in os.fsdecode(listed).split("\0"):
        if (ROOT / name).is_file() and not name.startswith(("tests/", "bench/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    place = tmp_path_factory.mktemp("anywhere")
    folder, home = place / "a path with späces" / "amaas", place / "empty"
    home.mkdir()
    _copy(folder)
    # an environment with nothing in it, not even pip, which make must not take for the Python to use
    subprocess.run([interpreter.base(), "-I", "-m", "venv", "--without-pip", place / "active"], check=True)
    made = Clone(folder, home, place / "active" / "bin" / "python3")
    try:
        made.shown = made.make("run")
        yield made
        assert "stopped; its state stays on the disk" in made.make("stop")
    finally:
        made.make("stop")
        shutil.rmtree(folder / ".local", ignore_errors=True)  # what an ended cloud left may be on its way out, too
