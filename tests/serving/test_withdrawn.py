"""A version that an earlier gate let through, with an operator that is not served any more: 503, and nothing is run."""

from __future__ import annotations

import hashlib
import json
import threading
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from onnx import TensorProto, helper

from shared.errors import Unavailable
from shared.package import manifest
from shared.package.manifest import Manifest
from shared.registry import aliases, blobs, versions, withdrawn
from shared.registry.log import Log
from shared.registry.state import Change, Target, Version
from shared.runtime import onnx
from shared.serving.layer import Layer
from shared.serving.models import Models
from shared.serving.observe import Call
from shared.serving.shadow import Shadows
from shared.serving.sources import Permit
from shared.serving.wall import Wall
from shared.storage.memory import MemoryStore
from tests.serving.test_models import CountingStore
from tests.support import linear

INPUT = {"x": np.ones((1, 2), np.float32)}


def inverse() -> bytes:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, None]) for name in ("x", "y")]
    graph = helper.make_graph(
        [helper.make_node("Inverse", ["x"], ["y"], domain="com.microsoft")], "g", *map(list, zip(values))
    )
    imports = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    return bytes(helper.make_model(graph, opset_imports=imports, ir_version=9).SerializeToString())


def publish(store: MemoryStore, model: bytes, gate: dict[str, Any] | None) -> Version:
    described = blobs.write(store, manifest.encode(Manifest(name="m", gate=gate)))
    digest = blobs.write(store, model)
    version = Version(
        version=0, task="tensor", manifest=described, source=digest, model=digest, size=len(model), upload=described
    )
    return versions.register(Log(store), "m", version, Change(by="test"))


@pytest.fixture
def store() -> CountingStore:
    """Version 1 is served, version 2 holds Inverse, and production is the first."""
    counting = CountingStore()
    publish(counting, linear([[1.0], [2.0]]), {"operators": {"MatMul": 1}})
    publish(counting, inverse(), {"operators": {"Inverse": 1}})
    return counting


def models(store: MemoryStore, layer: Layer | None = None) -> Models:
    return Models(Log(store), ttl=0.0, capacity=10**9, **({"layer": layer} if layer else {}))


def test_a_model_is_not_opened_without_a_permit(store: CountingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for the manifest and is told no: ONNX Runtime must not have seen a byte of the file."""
    opened: list[str] = []
    monkeypatch.setattr(Wall, "open", lambda *_, **__: opened.append("a session"))
    permit = Permit()
    permit.close()
    with pytest.raises(Unavailable, match="is not served"):
        models(store).sources.open(hashlib.sha256(inverse()).hexdigest(), permit)
    assert opened == []


def test_it_is_refused_with_what_to_do_and_others_go_on(store: CountingStore) -> None:
    serving = models(store)
    with pytest.raises(Unavailable, match=r"version 2 of 'm'.*Inverse.*rollback m.*push the model again") as refused:
        serving.load("m", "2")
    assert refused.value.status == 503
    assert not serving.is_ready("m", "2")[0]
    assert serving.load("m", None).session.run(None, INPUT)[0].tolist() == [[3.0]]


def test_it_is_not_loaded_and_not_downloaded_twice(store: CountingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[str] = []
    monkeypatch.setattr(onnx, "load", lambda *args, **more: loads.append(args[0]))
    serving = models(store)
    for _ in range(2):
        threads = set(threading.enumerate())
        with pytest.raises(Unavailable):
            serving.load("m", "2")
        for thread in set(threading.enumerate()) - threads:
            thread.join()  # the first load begins the download before it has the manifest, and refuses without waiting
        reads, store.reads = store.reads, []
    assert not [key for key in reads if "blobs" in key]
    assert loads == []


def test_production_goes_back_to_a_version_that_is_served(store: CountingStore) -> None:
    aliases.move(Log(store), "m", "production", Target(version=2), Change(by="op"))
    serving = models(store)
    with pytest.raises(Unavailable):
        serving.load("m", None)
    aliases.rollback(Log(store), "m", "production", Change(by="op"))
    assert serving.load("m", None).version.version == 1


def test_a_function_of_the_models_own_may_have_the_name(store: CountingStore) -> None:
    version = publish(store, linear([[5.0], [0.0]]), {"operators": {"Inverse": 1}, "edition": withdrawn.EDITION})
    assert models(store).load("m", str(version.version)).session.run(None, INPUT)[0].tolist() == [[5.0]]


def test_versions_from_before_the_census_are_served(store: CountingStore) -> None:
    for gate in (None, {}, {"operators": None}):
        version = publish(store, linear([[6.0], [0.0]]), gate)
        assert models(store).load("m", str(version.version)).session.run(None, INPUT)[0].tolist() == [[6.0]]


def test_of_the_layer_it_is_opened_at_most(
    store: CountingStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx.Session, "run", lambda *args: pytest.fail("it was run"))
    digest = hashlib.sha256(inverse()).hexdigest()
    folder = tmp_path / "blobs" / "sha256"
    folder.mkdir(parents=True)
    (folder / digest).write_bytes(inverse())
    (tmp_path / "index.json").write_text(json.dumps({"m": {"model": digest}}))
    aliases.move(Log(store), "m", "production", Target(version=2), Change(by="op"))
    serving = models(store, Layer(str(tmp_path)))
    serving.prefetch(["m"])
    with pytest.raises(Unavailable, match="no longer served"):
        serving.load("m", None)


def test_a_shadow_says_so_in_its_line(store: CountingStore, capsys: pytest.CaptureFixture) -> None:
    serving = models(store)
    served = msgspec.structs.replace(serving.load("m", None), shadow=2)
    shadows = Shadows(serving, afterwards=True)
    shadows.observe(Call(loaded=served, route="infer", answer=[1], repeat=lambda loaded: pytest.fail("it was run")))
    shadows.work(60.0)
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert line["ShadowFailed"] == 1 and "no longer served" in line["reason"]
