"""The embedded cloud, deployed from the real template as `make run` does it, in a home of its own for one session."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from tests import conformance

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".local" / "envs" / "cloud" / "bin" / "python"


class Cloud:
    """A running deployment: its address and token, a client of its API and one of its bucket."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = _free_port()
        self.api = httpx.Client(timeout=60, event_hooks={"response": [as_described]})
        self.access: dict[str, Any] = {}
        self.first_run = ""

    def up(self) -> str:
        """Run the recipe of `make run`; returns what it printed."""
        done = self._local("local.up")
        self.access = json.loads((self.home / "amaas.json").read_text())
        self.api.base_url = httpx.URL(self.access["api_url"])
        self.api.headers["Authorization"] = f"Bearer {self.access['token']}"
        self.s3 = self.aws("s3")
        return done

    def aws(self, service: str) -> Any:
        return boto3.client(service, endpoint_url=self.access["endpoint_url"], region_name="us-east-1")

    def down(self) -> str:
        return self._local("local.cloud", "stop")

    def upload(self, model: str, files: dict[str, bytes], timeout: float = 60) -> dict[str, Any]:
        """The two calls and one PUT per file that any client makes; returns the upload's end state."""
        announced = [{"name": name, "size": len(body)} for name, body in files.items()]
        ticket = self.api.post(f"/models/{model}/uploads", json={"files": announced})
        assert ticket.status_code == 201, ticket.text
        for target in ticket.json()["files"]:
            done = httpx.put(target["url"], content=files[target["name"]], headers=target["headers"], timeout=60)
            assert done.status_code == 200, done.text
        return self.wait(lambda: self.api.get(ticket.json()["status_url"]).json(), timeout)

    def wait(self, ask: Callable[[], dict[str, Any]], timeout: float = 60) -> dict[str, Any]:
        deadline = time.monotonic() + timeout
        while True:
            state = ask()
            if state.get("state") in ("registered", "rejected"):
                return state
            assert time.monotonic() < deadline, f"still {state} after {timeout} s"
            time.sleep(0.1)

    def inbox(self, model: str, name: str, body: bytes) -> dict[str, Any]:
        """An upload with nothing but an S3 client; returns its end state."""
        known = len(self.api.get(f"/models/{model}/uploads").json()["uploads"])
        self.s3.put_object(Bucket=self.access["bucket"], Key=f"inbox/{model}/{name}", Body=body)

        def newest() -> dict[str, Any]:
            uploads = self.api.get(f"/models/{model}/uploads").json()["uploads"]
            return uploads[-1] if len(uploads) > known else {}

        return self.wait(newest)

    def _local(self, *module: str) -> str:
        env = os.environ | {"AMAAS_HOME": str(self.home), "AMAAS_PORT": str(self.port)}
        for name in [n for n in env if n.startswith("AWS_")]:
            del env[name]
        done = subprocess.run(
            [str(PYTHON), "-m", *module], cwd=ROOT, env=env, capture_output=True, text=True, timeout=900, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def as_described(answer: httpx.Response) -> None:
    """Raises AssertionError for an answer of the API that its description does not have."""
    found = re.fullmatch(r"/_aws/execute-api/[^/]+/[^/]+(/.*)", answer.request.url.raw_path.decode().partition("?")[0])
    route = conformance.route(answer.request.method, found[1]) if found else None
    if route:
        conformance.hold(route, answer.status_code, answer.headers, answer.read())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    made = Cloud(tmp_path_factory.mktemp("cloud"))
    try:
        made.first_run = made.up()
        yield made
    finally:
        made.down()
        made.api.close()
