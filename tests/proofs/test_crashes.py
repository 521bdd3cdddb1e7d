"""The process dies at every storage call, before and after its effect; the event or the call comes again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from shared import keys
from shared.config import Config
from shared.ingest import candidate, pipeline, supervisor
from shared.ingest.verdict import Limits, Verdict
from shared.registry import aliases, approvals, blobs, collect, models, verify, versions
from shared.registry.log import Log
from shared.registry.state import Change, Target
from shared.storage.memory import MemoryStore
from shared.uploads import forms, states
from tests.failing import Crash, FailingStore, crash_at, never
from tests.proofs.world import state
from tests.registry.conftest import a_version, push
from tests.support import linear

CONFIG = Config(bucket="unused")
CHANGE = Change(by="ann", request_id="once")
FAR = 4e9  # seconds after the epoch, when all blobs are old


@pytest.fixture(scope="module")
def verdict() -> Verdict:
    """Of one real examination. It is repeated for each crash, since what is proved here lies around it."""
    store = MemoryStore()
    kept: list[Verdict] = []

    def recorded(*args: Any) -> Verdict:
        kept.append(supervisor.check_model(*args))
        return kept[-1]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(candidate, "check_model", recorded)
        upload(store)
        assert deliver(Log(store)) == "registered"
    return kept[0]


def upload(store: Any) -> None:
    ticket = forms.UploadSession(
        upload_id="1a2b3c4d5e6-0123456789abcdef",
        model="m",
        by="ann",
        created_at="2026-01-01T00:00:00.000Z",
        files=[forms.File("model.onnx")],
        keys={"model.onnx": keys.upload_file("1a2b3c4d5e6-0123456789abcdef", "model.onnx")},
    )
    states.write_session(store, ticket)
    store.put(ticket.keys["model.onnx"], linear([[1.0], [0.0]]))


def deliver(log: Log) -> str | None:
    key = keys.upload_file("1a2b3c4d5e6-0123456789abcdef", "model.onnx")
    found = pipeline.on_object(log, CONFIG, key, {}, Limits())
    return found.state if found else None


def three(store: Any) -> Log:
    log = Log(store)
    push(log, "m", 3)
    aliases.move(log, "m", "production", Target(version=2), Change(by="bob"))
    return log


def asked(store: Any) -> Log:
    log = three(store)
    approvals.request(log, "m", "production", Target(version=3), Change(by="bob"))
    return log


def doomed(store: Any) -> Log:
    log = three(store)
    blobs.write(store, b"orphan")
    return log


SCENARIOS: dict[str, tuple[Callable[[Any], Any], Callable[[Log], Any]]] = {
    "register": (three, lambda log: versions.register(log, "m", a_version("upload-new"), CHANGE)),
    "move": (three, lambda log: aliases.move(log, "m", "production", Target(version=3), CHANGE)),
    "roll back": (three, lambda log: aliases.rollback(log, "m", "production", CHANGE)),
    "approve": (asked, lambda log: approvals.approve(log, "m", 5, CHANGE)),
    "retire": (three, lambda log: versions.retire(log, "m", 3, CHANGE)),
    "delete": (three, lambda log: models.delete(log, "m", CHANGE)),
    "collect": (doomed, lambda log: collect.collect(log, now=FAR)),
    "an upload's event": (upload, deliver),
}


def points(name: str) -> list[tuple[int, bool]]:
    """Every storage call of an undisturbed run, before and after."""
    prepare, run = SCENARIOS[name]
    store = MemoryStore()
    prepare(store)
    failing = FailingStore(store)
    run(Log(failing))
    return [(number, after) for number in range(1, len(failing.calls) + 1) for after in (False, True)]


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_crash_at_every_step(name: str, verdict: Verdict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidate, "check_model", lambda *_: verdict)
    prepare, run = SCENARIOS[name]
    undisturbed = MemoryStore()
    prepare(undisturbed)
    run(Log(undisturbed))
    expected = Log(undisturbed).read("m")
    tried = points(name)
    assert len(tried) >= 8
    for number, after in tried:
        store = MemoryStore()
        prepare(store)
        failing = FailingStore(store, crash_at(number, after=after))
        with pytest.raises(Crash):
            run(Log(failing))
        failing.plan = never
        run(Log(failing))
        run(Log(failing))  # and delivered once more
        log = Log(store)
        head = log.read("m")
        assert state(log, head) == state(log, expected), (number, after)
        assert verify.verify(log, "m").problems == []
        assert [v.upload for v in head.versions.values()] == [v.upload for v in expected.versions.values()]
        for version in head.versions.values():
            assert version.upload == "upload-new" or blobs.exists(store, version.manifest)


@pytest.mark.parametrize("outer", ["collect", "register"])
def test_collecting_beside_a_registration_never_takes_a_named_blob(outer: str) -> None:
    """Each of the two runs as a whole at every storage call of the other; the blob is an old one that nobody names."""
    body = b"left behind by a crash, long ago"

    def register(log: Log) -> None:
        digest = blobs.write(log.store, body)
        version = a_version("upload-new").__class__(
            version=0, task="tensor", manifest=digest, source=digest, model=digest, size=1, upload="upload-new"
        )
        versions.register(log, "m", version, Change(by="ann"))

    def sweep(log: Log) -> None:
        # everything that is there by now is old; what is written from now on is not
        collect.collect(log, grace_seconds=1000, now=clock["now"])

    first, second = (sweep, register) if outer == "collect" else (register, sweep)
    count, number = 1, 0
    while number < count:
        number += 1
        store = MemoryStore()
        push(Log(store), "other")
        blobs.write(store, body)
        for key, found in list(store._objects.items()):
            store._objects[key] = found.__class__(found.body, found.etag, found.modified - 10_000, found.version)
        clock = {"now": __import__("time").time()}
        failing = FailingStore(store)
        failing.plan = lambda call, at=number, inner=store: second(Log(inner)) if call.number == at else None
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(blobs, "GRACE", 1000.0)
            first(Log(failing))
        count = len(failing.calls)
        named = Log(store).read("m").versions[1].model if Log(store).read("m").versions else None
        assert named is None or blobs.read(store, named) == body, f"gone when interrupted at call {number}"
    assert count > 4
