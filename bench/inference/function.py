"""Our function as it is deployed, under Amazon's emulator and runtime client, on an S3 server: started and kept.

Code and layers are the product's own build, for the Python at hand; records are signed, and checked, as by default.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench import rie, servers
from bench.coldstart import world as coldstart
from bench.http_client import Answer, Connection, written
from bench.inference.models import Call, bytes_of, event, register, v2_calls, v2_values
from shared.registry.log import Log
from shared.signing.local import LocalKey
from shared.storage.s3 import S3Store

BUCKET = "warm"
JSON = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class World:
    """An S3 server's bucket with registered models, and what a function needs to read it."""

    store: S3Store
    environment: dict[str, str]


def world(endpoint: str, home: Path, models: dict[str, Path]) -> World:
    """Models registered in a bucket, their records signed. endpoint: of our S3 server."""
    store, key = S3Store(BUCKET, endpoint), LocalKey.create(home / "key.pem")
    store._client.create_bucket(Bucket=BUCKET)
    log = Log(store, signer=key, trusted=(key.public,))
    for name, path in models.items():
        register(log, name, path.read_bytes())
    keys = base64.b64encode(key.public).decode()
    env = {"BUCKET": BUCKET, "AWS_ENDPOINT_URL": endpoint, "PUBLIC_KEYS": keys}
    return World(store, coldstart.DEPLOYED | env)


def built(folder: Path) -> rie.Function:
    """The inference function and its layers, as `sam build` makes them."""
    os.environ.setdefault("UV", str(servers.ROOT / ".local" / "uv" / "bin" / "uv"))
    builds = coldstart.built(folder, [])
    return rie.Function(builds.inference, coldstart.HANDLER, [builds.core, builds.runtime])


class Emulated:
    """A function that runs under the emulator; it takes one call at a time."""

    def __init__(self, port: int, process: subprocess.Popen[bytes]) -> None:
        self.port = port
        self._session = process.pid

    def cpu(self) -> float:
        """Seconds of the function's process, without the emulator's."""
        return rie.used(self._session)[0]

    def memory(self) -> tuple[int, int]:
        return rie.used(self._session)[1], 1


@contextlib.contextmanager
def started(function: rie.Function, environment: dict[str, str], home: Path) -> Iterator[Emulated]:
    """The function, which has answered a first call. Raises RuntimeError when it does not."""
    runtime = home / "runtime"
    if not runtime.exists():
        rie.runtime(runtime)
    wired = rie.Function(
        function.code, function.handler, function.layers, environment | {"MODELS_DIR": str(home / "none")}
    )
    with rie.running(wired, runtime, home / "function.txt") as (port, process):
        asked = event(Call("/v2/health/live", {}, b""), "GET") | {"body": None, "isBase64Encoded": False}
        request = written("POST", rie.INVOKE, JSON, json.dumps(asked).encode(), port)
        _patiently(port, request)
        yield Emulated(port, process)


def _patiently(port: int, request: bytes) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            answer = Connection(port).exchange(request)
            break
        except OSError as error:
            if time.monotonic() > deadline:
                raise RuntimeError("the emulator did not start") from error
            time.sleep(0.05)
    if json.loads(answer.body).get("statusCode") != 200:
        raise RuntimeError(f"the function answered {answer.body[:600]!r}")


def calls(model: str) -> dict[str, Call]:
    """What API Gateway would hand to Lambda."""
    asked = v2_calls(model, f"/v2/models/{model}/infer")
    return {form: Call(rie.INVOKE, JSON, json.dumps(event(call)).encode()) for form, call in asked.items()}


def read(answer: Answer) -> np.ndarray:
    reply = json.loads(answer.body)
    return v2_values({name.lower(): value for name, value in reply["headers"].items()}, bytes_of(reply))
