"""The wall around models that have slipped through the gate: called over the function's handler, and in a batch job."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

import functions.inference.app as inference
from shared.package import manifest
from shared.package.manifest import Manifest, Tensor
from shared.registry import blobs, versions
from shared.registry.log import Log
from shared.registry.state import Change, Version
from shared.runtime import onnx
from shared.runtime.confined import Confined
from shared.serving import wall as walls
from shared.serving.layer import Layer
from shared.serving.models import Models
from shared.serving.wall import Wall
from shared.signing import model_signing
from shared.signing.local import LocalKey
from shared.storage.memory import MemoryStore
from tests.cloud.template import TEMPLATE
from tests.runtime import sessions
from tests.support import Answer, caller, linear, load_event

FP32, INT64 = "FP32", "INT64"
MODELS: dict[str, tuple[bytes, list[Tensor], list[Tensor]]] = {
    "good": (linear([[1.0], [0.0]]), [Tensor("x", FP32, [-1, 2])], [Tensor("y", FP32, [-1, 1])]),
    "null": (sessions.dereferences_null(), [Tensor("x", FP32, [-1])], [Tensor("y", FP32, [-1])]),
    "division": (
        sessions.divides(),
        [Tensor("x", INT64, [-1]), Tensor("by", INT64, [-1])],
        [Tensor("y", INT64, [-1])],
    ),
    "memory": (sessions.grows(), [Tensor("shape", INT64, [1])], [Tensor("y", FP32, [-1]), Tensor("n", FP32, [1])]),
    "large": (sessions.unfolds(), [Tensor("x", FP32, [1])], [Tensor("y", FP32, [])]),
    "loop": (sessions.repeats(), [Tensor("times", INT64, []), Tensor("x", FP32, [1])], [Tensor("y", FP32, [1])]),
}
GOOD = {"inputs": {"x": [[3, 4]]}}


class Context:
    """Of a call, as Lambda gives it."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        return int((self._until - time.monotonic()) * 1000)


def register(log: Log, name: str, key: LocalKey | None = None) -> Version:
    """A version that no gate has seen. key: the package is signed with it."""
    model, inputs, outputs = MODELS[name]
    described = blobs.write(log.store, manifest.encode(Manifest(name=name, inputs=inputs, outputs=outputs)))
    digest = blobs.write(log.store, model)
    files = {"model.onnx": digest, "amaas.json": described}
    package = blobs.write(log.store, model_signing.sign(key, name, files)) if key else None
    version = Version(
        version=0,
        task="tensor",
        manifest=described,
        source=digest,
        model=digest,
        size=len(model),
        upload=name,
        package=package,
    )
    return versions.register(log, name, version, Change(by="test"))


@pytest.fixture
def log() -> Log:
    log = Log(MemoryStore())
    for name in MODELS:
        register(log, name)
    return log


@pytest.fixture
def models(log: Log, monkeypatch: pytest.MonkeyPatch) -> Models:
    models = Models(log, ttl=60, capacity=10**9)
    monkeypatch.setattr(inference, "models", lambda: models)
    return models


def predict(name: str, inputs: dict[str, Any], seconds: float | None = None) -> Answer:
    event = load_event("apigateway_proxy") | {"httpMethod": "POST", "path": f"/models/{name}/predict"}
    event |= {"headers": {}, "body": json.dumps(inputs), "isBase64Encoded": False, "queryStringParameters": None}
    event["requestContext"]["authorizer"] = caller("infer")
    reply = inference.handler(event, None if seconds is None else Context(seconds))
    return Answer(reply["statusCode"], reply["headers"], reply["body"].encode())


def others_answer() -> bool:
    return bool(predict("good", GOOD).json["outputs"] == {"y": [[3.0]]})


def figures(capsys: pytest.CaptureFixture, name: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line for line in lines if name in line]


def test_by_default_a_model_of_the_store_is_confined(models: Models) -> None:
    assert isinstance(models.load("good", None).session, Confined)
    assert others_answer()


@pytest.mark.parametrize(
    ("name", "inputs", "name_of_signal", "harmless"),
    [
        ("null", {"x": [1.0]}, "SIGSEGV", None),
        ("division", {"x": [-(2**63)], "by": [-1]}, "SIGFPE", {"x": [7], "by": [2]}),
    ],
)
def test_the_death_of_a_model_is_an_error_of_its_call(
    models: Models,
    capsys: pytest.CaptureFixture,
    name: str,
    inputs: dict[str, Any],
    name_of_signal: str,
    harmless: dict[str, Any] | None,
) -> None:
    good = models.load("good", None).session
    process = good.pid  # type: ignore[attr-defined]  # of a confined one
    for _ in range(2):
        answer = predict(name, {"inputs": inputs})
        assert answer.status == 503
        assert f"crashed ({name_of_signal}) on this input; no other call is affected" in answer.json["error"]
        assert others_answer()
        if harmless:
            assert predict(name, {"inputs": harmless}).json["outputs"] == {"y": [3]}
    assert (models.load("good", None).session, good.pid) == (good, process)  # type: ignore[attr-defined]
    counted = figures(capsys, "ModelCrashed")
    alarm = TEMPLATE["Resources"]["ModelCrashedAlarm"]["Properties"]
    assert {d["Name"]: d["Value"] for d in alarm["Dimensions"]} == {"service": "wall"}
    assert [line.get("model") for line in counted] == [None, name] * 2
    assert all(line["service"] == "wall" and line["ModelCrashed"] == 1 for line in counted)


def test_a_model_without_end_is_a_504_in_time(models: Models, capsys: pytest.CaptureFixture) -> None:
    assert others_answer()
    answer = predict("loop", {"inputs": {"times": 10**12, "x": [0.0]}}, seconds=2.5)
    assert answer.status == 504
    assert "was stopped: send fewer or smaller inputs" in answer.json["error"]
    assert others_answer()
    assert predict("loop", {"inputs": {"times": 4, "x": [0.0]}}, seconds=60).json["outputs"] == {"y": [4.0]}
    assert [line.get("model") for line in figures(capsys, "ModelTimedOut")] == [None, "loop"]


def test_five_gigabytes_are_an_error_of_their_call(models: Models) -> None:
    answer = predict("memory", {"inputs": {"shape": [5 * 10**9 // 4]}})
    assert answer.status == 503
    assert "out of memory on this input; send a smaller one" in answer.json["error"]
    assert others_answer()
    assert predict("memory", {"inputs": {"shape": [2]}}).json["outputs"] == {"y": [0.0, 0.0], "n": [0.0]}


@pytest.mark.parametrize(("count", "reason"), [(10**8, "send fewer or smaller inputs"), (10**7, "send fewer inputs")])
def test_a_huge_answer_is_refused_before_it_is_made(models: Models, count: int, reason: str) -> None:
    answer = predict("memory", {"inputs": {"shape": [count]}})
    assert (answer.status, reason in answer.json["error"]) == (413, True)
    assert predict("memory", {"inputs": {"shape": [1]}}).status == 200


def test_a_huge_answer_of_the_protocol_is_refused_before_it_is_made(models: Models) -> None:
    for binary, count in ((False, 10**7), (True, 2 * 10**6)):
        event = load_event("apigateway_proxy") | {"httpMethod": "POST", "path": "/v2/models/memory/infer"}
        asked = {"name": "y", "parameters": {"binary_data": binary}}
        given = {"name": "shape", "shape": [1], "datatype": "INT64", "data": [count]}
        event |= {"headers": {}, "isBase64Encoded": False, "queryStringParameters": None}
        event |= {"body": json.dumps({"inputs": [given], "outputs": [asked]})}
        event["requestContext"]["authorizer"] = caller("infer")
        reply = inference.handler(event, None)
        assert reply["statusCode"] == 413
        assert "bytes at least, before compression; one call can return 6,000,000" in reply["body"]


def test_what_is_evicted_ends(log: Log, models: Models) -> None:
    small = Models(log, ttl=60, capacity=1)
    first = small.load("good", None).session.pid  # type: ignore[attr-defined]
    small.load("division", None)
    until = time.monotonic() + 300
    while Path(f"/proc/{first}/cmdline").exists() and Path(f"/proc/{first}/cmdline").read_bytes():
        assert time.monotonic() < until
        time.sleep(0.01)


def layer(folder: Path, wall: Wall) -> Layer:
    import hashlib

    body = MODELS["good"][0]
    digest = hashlib.sha256(body).hexdigest()
    files = folder / "blobs" / "sha256"
    files.mkdir(parents=True)
    (files / digest).write_bytes(body)
    (folder / "index.json").write_text(json.dumps({"good": {"format": 1, "model": digest}}))
    return Layer(str(folder), wall=wall)


def kinds(log: Log, wall: Wall, folder: Path) -> dict[str, type]:
    models = Models(log, ttl=60, capacity=10**9, layer=layer(folder, wall), wall=wall)
    return {name: type(models.load(name, None).session) for name in ("good", "division")}


def test_whom_an_operator_trusts(tmp_path: Path) -> None:
    key, other = LocalKey.create(tmp_path / "key.pem"), LocalKey.create(tmp_path / "other.pem")
    log = Log(MemoryStore())
    register(log, "good")
    register(log, "division", key)
    signed = Wall(trusted=walls.SIGNED, signers=(other.public, key.public))
    foreign = Wall(trusted=walls.SIGNED, signers=(other.public,))
    assert kinds(log, Wall(), tmp_path / "1") == {"good": onnx.Session, "division": Confined}
    assert kinds(log, Wall(trusted=walls.NONE), tmp_path / "2") == {"good": Confined, "division": Confined}
    assert kinds(log, signed, tmp_path / "3") == {"good": onnx.Session, "division": onnx.Session}
    assert kinds(log, foreign, tmp_path / "4") == {"good": onnx.Session, "division": Confined}


def test_a_signature_of_another_model_makes_nothing_trusted(tmp_path: Path) -> None:
    key = LocalKey.create(tmp_path / "key.pem")
    log = Log(MemoryStore())
    signed, unsigned = register(log, "division", key), register(log, "good")
    wall = Wall(trusted=walls.SIGNED, signers=(key.public,))
    read = Models(log, ttl=0, capacity=1).sources.read

    assert wall.trusts(signed, read)
    assert not wall.trusts(replace(unsigned, package=signed.package), read)
    assert not wall.trusts(replace(signed, files={"extra": "0" * 64}), read)
    assert not wall.trusts(replace(signed, package=blobs.write(log.store, b"{}")), read)


def test_a_model_of_the_layer_that_is_not_trusted_is_opened_in_advance(tmp_path: Path, log: Log) -> None:
    wall = Wall(trusted=walls.NONE)
    models = Models(log, ttl=60, capacity=10**9, layer=layer(tmp_path, wall), wall=wall)
    models.prefetch(["good"])
    session = models.load("good", None).session
    assert isinstance(session, Confined)
    assert session.run(None, {"x": np.ones((1, 2), np.float32)})[0].tolist() == [[1.0]]


def test_without_a_filter(
    log: Log, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, caplog: pytest.LogCaptureFixture
) -> None:
    from shared.runtime import zygotes

    monkeypatch.setattr(zygotes, "ZYGOTE", "tests.runtime.unfiltered")
    monkeypatch.setattr(zygotes, "_zygotes", [])
    monkeypatch.setattr(inference, "models", lambda: required)
    required = Models(log, ttl=60, capacity=10**9)
    try:
        answer = predict("good", GOOD)
        assert (answer.status, "RequireSystemCallFilter=false" in answer.json["error"]) == (503, True)
        allowed = Models(log, ttl=60, capacity=10**9, wall=Wall(filtered=False))
        monkeypatch.setattr(inference, "models", lambda: allowed)
        assert others_answer()
    finally:
        for zygote in zygotes._zygotes:
            zygote.close()
    alarm = TEMPLATE["Resources"]["ModelUnfilteredAlarm"]["Properties"]
    [line] = figures(capsys, alarm["MetricName"])
    assert line["service"] == alarm["Dimensions"][0]["Value"]
    assert "no system-call filter" in [record.message for record in caplog.records]


def test_calls_leave_no_descriptor_behind(models: Models) -> None:
    run: Callable[[], Any] = lambda: models.load("good", None).session.run(None, {"x": np.ones((1, 2), np.float32)})  # noqa: E731
    run()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(300):
        run()
    for _ in range(3):
        predict("null", {"inputs": {"x": [1.0]}})
    assert len(os.listdir("/proc/self/fd")) <= before + 1  # the model's file, kept for the next call


def test_a_small_file_that_takes_much_memory_counts_with_that(log: Log) -> None:
    models = Models(log, ttl=60, capacity=100 << 20)
    large = models.load("large", None)
    assert large.version.size < 100_000
    assert walls.resident(large.session) > 150 << 20
    good = models.load("good", None)  # for which there is no room beside it
    assert [entry.session for entry in models._kept.entries()] == [good.session]
