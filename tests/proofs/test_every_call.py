"""Every storage call of every transition fails once, in each way there is; then the caller asks again, as it does.

Beyond the crashes of test_crashes.py: errors and lost replies as well, signed records, the catalog brought up to date
by the same call, a second crash while the first one is mended, and controls that go wrong. The calls are found by
counting those of an undisturbed run.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from shared import keys
from shared.config import Config
from shared.errors import Unavailable
from shared.ingest import pipeline
from shared.ingest.verdict import Limits
from shared.registry import aliases, approvals, blobs, catalog, collect, models, verify, versions
from shared.registry.log import Log
from shared.registry.state import Change, Policy, Target, Version
from shared.signing.local import LocalKey
from shared.storage.base import Store
from shared.storage.memory import MemoryStore
from shared.uploads import forms, listing, states
from tests.failing import Crash, FailingStore, Fault
from tests.proofs.stores import age, copy_of, keys_of
from tests.proofs.world import state
from tests.registry.conftest import push
from tests.support import linear

pytestmark = pytest.mark.usefixtures("no_waiting", "verdicts_once", "always_compacting")

ONCE, BOB = Change(by="ann", request_id="once"), Change(by="bob")
WEEKS = 30 * 86400.0
NOT_KEPT = "1" * 64  # what versions that no upload made name as their source
KINDS = ["crash before", "crash after", "error before", "lost reply after"]
MAIN, INBOX = "uploads/0190a0b0c0d-0011223344556677/files/", "inbox/m/dropped.onnx"


@dataclass(frozen=True)
class Scenario:
    """prepare: what is there before. run: what is asked, and asked again. after: what the log has more then."""

    prepare: Callable[[Log], Any]
    run: Callable[[Log], Any]
    after: list[str]


@pytest.fixture
def always_compacting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "COMPACTING", 1)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> LocalKey:
    return LocalKey.create(tmp_path_factory.mktemp("key") / "key.pem")


def opened(store: Store, key: LocalKey | None) -> Log:
    trust = {"signer": key, "trusted": [key.public]} if key else {}
    return Log(store, on_commit=catalog.compact_sometimes, **trust)


# ---- what is asked


def ready(log: Log) -> None:
    push(log, "m", 3)
    aliases.move(log, "m", "production", Target(version=2), BOB)
    aliases.move(log, "m", "production", Target.of({2: 90, 3: 10}), BOB)
    push(log, "other", 1)


def asked(log: Log) -> None:
    ready(log)
    approvals.request(log, "m", "production", Target(version=3), BOB)


def gone(log: Log) -> None:
    ready(log)
    models.delete(log, "m", BOB)


def littered(log: Log) -> None:
    ready(log)
    for n in range(3):
        blobs.write(log.store, f"orphan {n}".encode())
    assert isinstance(log.store, MemoryStore)
    age(log.store, keys.BLOBS, WEEKS)
    blobs.write(log.store, b"an orphan, but a young one")


def sent(log: Log) -> None:
    """An upload of two files, announced and there; and a file that was dropped into the inbox of the same model."""
    files = [forms.File("model.onnx"), forms.File("amaas.json")]
    places = {file.name: MAIN + file.name for file in files}
    ticket = forms.UploadSession(
        upload_id=MAIN.split("/")[1],
        model="m",
        by="ann",
        created_at="2024-07-11T00:00:00.000Z",
        files=files,
        keys=places,
    )
    states.write_session(log.store, ticket)
    log.store.put(MAIN + "model.onnx", linear([[1.0], [2.0]]))
    log.store.put(MAIN + "amaas.json", b'{"task": "tensor", "tags": ["new"]}')
    log.store.put(INBOX, linear([[3.0], [4.0]]))


def on_top(log: Log) -> None:
    push(log, "m", 2)
    sent(log)


def deliver(*events: str) -> Callable[[Log], None]:
    def run(log: Log) -> None:
        for event in events:
            pipeline.on_object(log, Config(bucket="unused"), event, {"principal": "someone"}, Limits())

    return run


def move(to: Target) -> Callable[[Log], Any]:
    return lambda log: aliases.move(log, "m", "production", to, ONCE)


SCENARIOS = {
    "the first upload": Scenario(sent, deliver(MAIN + "model.onnx"), ["register"]),
    "another upload": Scenario(on_top, deliver(MAIN + "amaas.json"), ["register"]),
    "a file in the inbox": Scenario(sent, deliver(INBOX), ["register"]),
    "move": Scenario(ready, move(Target(version=1)), ["alias"]),
    "split": Scenario(ready, move(Target.of({1: 50, 3: 50}, 2)), ["alias"]),
    "roll back": Scenario(ready, lambda log: aliases.rollback(log, "m", "production", ONCE), ["rollback"]),
    "policy": Scenario(ready, lambda log: aliases.set_policy(log, "m", "x", Policy(two_person=True), ONCE), ["policy"]),
    "request": Scenario(ready, lambda log: approvals.request(log, "m", "x", Target(version=1), ONCE), ["request"]),
    "approve": Scenario(asked, lambda log: approvals.approve(log, "m", 6, ONCE), ["approve"]),
    "reject": Scenario(asked, lambda log: approvals.reject(log, "m", 6, ONCE), ["reject"]),
    "retire": Scenario(ready, lambda log: versions.retire(log, "m", 1, ONCE), ["retire"]),
    "edit": Scenario(ready, lambda log: models.edit(log, "m", ONCE, card="# New", tags=["x"]), ["edit"]),
    "delete": Scenario(ready, lambda log: models.delete(log, "m", ONCE), ["delete"]),
    "undelete": Scenario(gone, lambda log: models.restore(log, "m", ONCE), ["undelete"]),
    "collect": Scenario(littered, collect.collect, []),
}


# ---- what must come of it


def outcome(store: MemoryStore, key: LocalKey | None) -> dict[str, Any]:
    """Everything that anybody can see, without times, digests and random names; and that nothing is missing."""
    log = opened(store, key)
    head = log.read("m")
    assert opened(copy_of(store, without="/head.json"), key).read("m") == head
    assert verify.verify(log, "m").problems == []
    for name in catalog.list_names(store):
        for version in log.read(name).versions.values():
            whole(store, version)
    listed = {name: (one.revision, one.ready, one.tags) for name, one in catalog.list_models(log).items()}
    ended = [(one.state, one.version) for one in listing.of_model(store, "m")[0]]
    records = [(r.kind, r.by, r.request_id) for r in log.records("m", head.revision, 1)]
    anonymous = [f"{n}" for n, _ in enumerate(state(log, head).uploads)]
    return {
        "state": {**state(log, head).__dict__, "uploads": anonymous},
        "records": records,
        "catalogue": listed,
        "uploads": ended,
        "blobs": kept(store, key),
    }


def whole(store: MemoryStore, version: Version) -> None:
    for digest in {version.manifest, version.source, version.model, version.package}:
        if digest not in (None, NOT_KEPT):
            blobs.read(store, digest)


def kept(store: MemoryStore, key: LocalKey | None) -> int:
    """How many blobs there are once the garbage that attempts may leave behind was collected."""
    later = copy_of(store)
    age(later, keys.BLOBS, WEEKS)
    collect.collect(opened(later, key))
    return len(keys_of(later, keys.BLOBS))


def disturbed(store: MemoryStore, key: LocalKey | None, scenario: Scenario, number: int, kind: str) -> int:
    """Run with one fault, and say how many calls that took. What the caller is told is what it can deal with."""
    raised: BaseException = Crash(kind) if kind.startswith("crash") else Unavailable(kind)
    fault = Fault(before=raised) if kind.endswith("before") else Fault(after=raised)
    failing = FailingStore(store, lambda call: fault if call.number == number else None)
    with suppress(type(raised)):
        scenario.run(opened(failing, key))
    return len(failing.calls)


@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_any_one_call_fails(name: str, signed: bool, key: LocalKey) -> None:
    scenario, signer = SCENARIOS[name], key if signed else None
    before, undisturbed = MemoryStore(), MemoryStore()
    scenario.prepare(opened(before, signer))
    undisturbed = copy_of(before)
    calls = disturbed(undisturbed, signer, scenario, 0, "no fault")
    expected = outcome(undisturbed, signer)
    records = Log(before).read("m").revision
    assert [kind for kind, _, _ in expected["records"][::-1][records:]] == scenario.after
    assert calls >= 5
    for number in range(1, calls + 1):
        for kind in KINDS:
            store = copy_of(before)
            disturbed(store, signer, scenario, number, kind)
            for _ in range(2):
                disturbed(store, signer, scenario, 0, "no fault")
            assert outcome(store, signer) == expected, f"{kind} call {number} of {calls}"


@pytest.mark.parametrize(
    "name", [name if name == "roll back" else pytest.param(name, marks=pytest.mark.soak) for name in SCENARIOS]
)
def test_a_crash_and_another_one_while_it_is_mended(name: str) -> None:
    scenario, before = SCENARIOS[name], MemoryStore()
    scenario.prepare(opened(before, None))
    undisturbed = copy_of(before)
    calls = disturbed(undisturbed, None, scenario, 0, "no fault")
    expected = outcome(undisturbed, None)
    for first in [(number, kind) for number in range(1, calls + 1) for kind in KINDS[:2]]:
        half = copy_of(before)
        disturbed(half, None, scenario, *first)
        again = disturbed(copy_of(half), None, scenario, 0, "no fault")
        for second in [(number, kind) for number in range(1, again + 1) for kind in KINDS[:2]]:
            store = copy_of(half)
            disturbed(store, None, scenario, *second)
            disturbed(store, None, scenario, 0, "no fault")
            assert outcome(store, None) == expected, (first, second)


def mark_afterwards(log: Log, model: str, revision: int, body: bytes) -> None:
    log.store.put(keys.log_record(model, revision), body, if_absent=True)
    log.store.put(keys.changed(model, revision), b"")


def another_name(**fields: Any) -> Version:
    return Version(**{**fields, "upload": f"upload-{uuid.uuid4()}"})


BROKEN: dict[str, tuple[str, str, Any]] = {
    "request ids are not looked at": ("roll back", "shared.registry.state.Head.revision_of", lambda head, change: None),
    "the catalog is told afterwards": ("move", "shared.registry.log.Log._commit", mark_afterwards),
    "versions are not known by their upload": ("another upload", "shared.ingest.candidate.Version", another_name),
    "the collector asks nobody": (
        "collect",
        "shared.registry.collect._referenced_blobs",
        lambda log, before: (set(), False),
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_negative_controls_go_wrong(name: str, key: LocalKey, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario, *broken = BROKEN[name]
    monkeypatch.setattr(*broken)
    with pytest.raises((AssertionError, Unavailable)):
        test_any_one_call_fails(scenario, False, key)
