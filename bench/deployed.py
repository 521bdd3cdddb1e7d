"""The product as it is deployed: its own build, a bucket on an S3 server, and the inference function as it runs there.

What bench.inference and bench.coldstart stand on. Records are signed, and checked, as by default.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import msgspec
import numpy as np

from bench.calls import Call, bytes_of, event, register, v2_calls, v2_values
from bench.load import Answer, Connection, written
from bench.machine import DEPLOYED, ROOT
from shared.config import Config
from shared.ingest import pipeline
from shared.ingest.verdict import Limits
from shared.registry.log import Log
from shared.signing.local import LocalKey
from shared.storage.s3 import S3Store
from shared.uploads import inbox
from tests import emulator
from tools import build

HANDLER = "functions.inference.app.handler"
AUTHORIZER = "functions.authorize.app.handler"
JSON = {"content-type": "application/json"}


def built(folder: Path, *resources: str) -> dict[str, Path]:
    """Resources of template.yaml by name, as `sam build` makes them, for the Python that runs this."""
    os.environ["AMAAS_RUNTIME"] = f"python{sys.version_info.major}.{sys.version_info.minor}"
    os.environ.setdefault("UV", str(ROOT / ".local" / "uv" / "bin" / "uv"))
    for resource in resources:
        build.main(resource, folder / resource)
    return {resource: folder / resource for resource in resources}


def inference_function(folder: Path) -> emulator.Function:
    """The inference function and its layers, but for the layer of bundled models."""
    parts = built(folder, "InferenceFunction", "CoreLayer", "RuntimeLayer")
    return emulator.Function(parts["InferenceFunction"], HANDLER, [parts["CoreLayer"], parts["RuntimeLayer"]])


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket with signed records; key: the private one's file, known to this process alone."""

    name: str
    endpoint: str
    key: LocalKey

    @classmethod
    def create(cls, name: str, endpoint: str, home: Path) -> Bucket:
        boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket=name)
        return cls(name, endpoint, LocalKey.create(home / f"{name}.pem"))

    def log(self) -> Log:
        return Log(S3Store(self.name, self.endpoint), signer=self.key, trusted=(self.key.public,))

    def environment(self) -> dict[str, str]:
        """Of a function that reads it, and has no layer of bundled models."""
        keys = base64.b64encode(self.key.public).decode()
        place = {"BUCKET": self.name, "AWS_ENDPOINT_URL": self.endpoint, "PUBLIC_KEYS": keys, "MODELS_DIR": "/nowhere"}
        return DEPLOYED | place

    def register(self, models: Iterable[tuple[str, bytes]]) -> None:
        """Past the gate, so that nothing is optimized and all servers run one graph."""
        log = self.log()
        for name, model in models:
            register(log, name, model)

    def push(self, name: str, path: Path) -> None:
        """Through the gate. Raises SystemExit when it refuses."""
        log = self.log()
        key = f"inbox/{name}/model.onnx"
        log.store.put(key, path.read_bytes())
        package = inbox.package_of(log.store, key)
        assert package is not None, key
        ticket = inbox.open_session(log.store, package, "bench")
        upload = pipeline.ingest(log, Config(self.name), ticket, Limits())
        if upload.state != "registered":
            raise SystemExit(f"{name}: {msgspec.json.encode(upload).decode()}")


@dataclass(frozen=True, slots=True)
class Emulated:
    """A function under Amazon's emulator, which takes one call at a time; pid: the emulator's."""

    port: int
    pid: int

    def cpu(self) -> float:
        """Seconds of the function's process, without the emulator's."""
        return emulator.used(self.pid)[0]

    def memory(self) -> tuple[int, int]:
        return emulator.used(self.pid)[1], 1


@contextlib.contextmanager
def started(function: emulator.Function, home: Path) -> Iterator[Emulated]:
    """The function, which has answered a first call. Raises RuntimeError when it does not."""
    runtime = home / "runtime"
    if not runtime.exists():
        emulator.runtime(runtime)
    with emulator.running(function, runtime, home / "function.txt") as (port, process):
        health = event(Call("/v2/health/live", {}, b""), "GET") | {"body": None, "isBase64Encoded": False}
        _first_answer(port, written("POST", emulator.INVOKE, JSON, json.dumps(health).encode(), port))
        yield Emulated(port, process.pid)


def _first_answer(port: int, request: bytes) -> None:
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
    """By form, what API Gateway would hand to Lambda."""
    plain = v2_calls(model, f"/v2/models/{model}/infer")
    return {form: Call(emulator.INVOKE, JSON, json.dumps(event(call)).encode()) for form, call in plain.items()}


def read(answer: Answer) -> np.ndarray:
    reply = json.loads(answer.body)
    return v2_values({name.lower(): value for name, value in reply["headers"].items()}, bytes_of(reply))
