"""Loading and keeping models: verified, single-flight, bounded, and following an alias within its time."""

from __future__ import annotations

import hashlib
import threading

import numpy as np
import pytest

from shared import keys
from shared.errors import NotFound, Unavailable
from shared.package import manifest
from shared.package.manifest import Manifest, Tensor
from shared.registry import aliases, blobs, versions
from shared.registry import models as registry
from shared.registry.log import Log
from shared.registry.state import Change, Target, Version
from shared.runtime import onnx
from shared.serving import kept
from shared.serving.models import Models
from shared.storage.memory import MemoryStore
from tests.support import linear


class CountingStore(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.reads: list[str] = []

    def get(self, key: str, **args):
        self.reads.append(key)
        return super().get(key, **args)

    def download(self, key: str, path: str) -> str:
        self.reads.append(key)
        return super().download(key, path)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def publish(store: MemoryStore, name: str, model: bytes, upload: str, **files: bytes) -> Version:
    described = Manifest(name=name, inputs=[Tensor("x", "FP32", [-1, 2])], outputs=[Tensor("y", "FP32", [-1, 1])])
    digest = blobs.write(store, model)
    version = Version(
        version=0,
        task="tensor",
        manifest=blobs.write(store, manifest.encode(described)),
        source=digest,
        model=digest,
        size=len(model),
        upload=upload,
        files={name: blobs.write(store, body) for name, body in files.items()},
    )
    return versions.register(Log(store), name, version, Change(by="test"))


@pytest.fixture
def store() -> CountingStore:
    counting = CountingStore()
    for n in (1, 2):
        publish(counting, "m", linear([[float(n)], [0.0]]), f"upload-{n}")
    return counting


def make(store: MemoryStore, **changes) -> Models:
    return Models(Log(store), **({"ttl": 2.0, "capacity": 10**9} | changes))


def run(models: Models, reference: str | None = None) -> float:
    loaded = models.load("m", reference)
    return float(loaded.session.run(None, {"x": np.array([[1, 1]], np.float32)})[0][0, 0])


def test_alias_number_and_default(store: CountingStore) -> None:
    models = make(store)
    assert (run(models), run(models, "2"), run(models, "production")) == (1.0, 2.0, 1.0)
    assert models.load("m", "2").revision == 2


def test_a_warm_call_reads_nothing_and_follows_an_alias_in_time(store: CountingStore) -> None:
    clock = Clock()
    models = make(store, clock=clock)
    assert run(models) == 1.0
    store.reads.clear()
    registry_reads = len(store.reads)
    assert run(models) == 1.0
    assert len(store.reads) == registry_reads
    aliases.move(Log(store), "m", "production", Target(version=2), Change(by="op"))
    clock.now = 1.9
    assert run(models) == 1.0
    clock.now = 2.1
    assert run(models) == 2.0


def test_after_its_time_one_request_tells_whether_the_model_moved_on(store: CountingStore) -> None:
    clock = Clock()
    models = make(store, clock=clock)
    run(models)
    store.reads.clear()
    clock.now = 3.0
    run(models)
    assert store.reads == [keys.log_record("m", 3)]


def test_what_an_older_state_does_not_know_is_looked_for_at_once(store: CountingStore) -> None:
    models = make(store, clock=Clock())
    assert run(models) == 1.0
    publish(store, "m", linear([[3.0], [0.0]]), "upload-3")
    aliases.move(Log(store), "m", "canary", Target(version=3), Change(by="op"))
    assert (run(models, "3"), run(models, "canary")) == (3.0, 3.0)
    with pytest.raises(NotFound):
        models.load("m", "4")


def test_names_that_nobody_knows_take_no_memory(store: CountingStore) -> None:
    models = make(store, clock=Clock())
    for n in range(100):
        with pytest.raises(NotFound):
            models.load(f"nobody-{n}", None)
    assert models._heads == {}


def test_ttl_zero_follows_at_once(store: CountingStore) -> None:
    models = make(store, ttl=0)
    assert run(models) == 1.0
    aliases.move(Log(store), "m", "production", Target(version=2), Change(by="op"))
    assert run(models) == 2.0


def test_unknown_models_and_versions(store: CountingStore) -> None:
    models = make(store)
    for name, reference in (("nope", None), ("m", "3"), ("m", "canary")):
        with pytest.raises(NotFound):
            models.load(name, reference)
    assert models.is_ready("m", None)[0]


@pytest.mark.parametrize("damage", [b"", b"other bytes", None])
def test_a_damaged_blob_is_never_served(store: CountingStore, damage: bytes | None) -> None:
    digest = registry.get(Log(store), "m").versions[1].model
    if damage is None:
        store.delete(keys.blob(digest))
    else:
        store.put(keys.blob(digest), damage)
    models = make(store)
    with pytest.raises(Unavailable, match=digest):
        models.load("m", None)
    assert not models.is_ready("m", None)[0]
    assert run(models, "2") == 2.0


def test_one_load_however_many_ask(store: CountingStore) -> None:
    models = make(store)
    barrier, answers = threading.Barrier(6), []

    def ask() -> None:
        barrier.wait()
        answers.append(run(models))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    digest = registry.get(Log(store), "m").versions[1].model
    assert answers == [1.0] * 6
    assert store.reads.count(keys.blob(digest)) == 1


def test_a_load_that_fails_leaves_nothing_behind(store: CountingStore) -> None:
    """A model that cannot be loaded is asked for again and again, under a new version each time it is mended."""
    digest = registry.get(Log(store), "m").versions[1].model
    intact = store.get(keys.blob(digest)).body
    store.put(keys.blob(digest), b"damaged")
    models = make(store)
    for _ in range(3):
        with pytest.raises(Unavailable):
            models.load("m", "1")
    assert models._loading == {}
    store.put(keys.blob(digest), intact)
    assert run(models, "1") == 1.0
    assert models._loading == {}


def test_who_waits_for_a_load_that_fails_tries_again(store: CountingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    models, barrier, outcomes = make(store), threading.Barrier(4), []
    opening, attempts = models._open, []

    def fail_once(*arguments):
        attempts.append(None)
        if len(attempts) == 1:
            raise Unavailable("the store is away")
        return opening(*arguments)

    monkeypatch.setattr(models, "_open", fail_once)

    def ask() -> None:
        barrier.wait()
        try:
            outcomes.append(run(models))
        except Unavailable as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, outcomes)) == ["1.0", "1.0", "1.0", "the store is away"]
    assert len(attempts) == 2
    assert models._loading == {}


def test_the_least_recently_used_goes_first(store: CountingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "resident", lambda session: 0)  # by their files alone
    size = len(linear([[1.0], [0.0]]))
    models = make(store, capacity=size * 5)  # two sessions at twice their file, and a bit
    publish(store, "m", linear([[3.0], [0.0]]), "upload-3")
    run(models, "1"), run(models, "2"), run(models, "1"), run(models, "3")
    store.reads.clear()
    run(models, "1")
    assert store.reads == []
    run(models, "2")
    assert [key for key in store.reads if key.startswith("blobs/")] != []


def test_what_many_evicted_sessions_held_is_given_back(store: CountingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    trims: list[None] = []
    monkeypatch.setattr(kept.memory, "trim", lambda: trims.append(None))
    size = len(linear([[1.0], [0.0]])) * kept.OVERHEAD
    monkeypatch.setattr(kept, "LEAST_TRIM", 3 * size - 10)
    models = make(store, capacity=1)  # one session, whatever its size
    for number in "121212":
        run(models, number)
    assert len(trims) == 1


def test_runtime_says_what_is_wrong() -> None:
    session = onnx.load(linear([[1.0], [0.0]]))
    assert session.inputs == [onnx.TensorSpec("x", "FP32", [-1, 2])]
    with pytest.raises(Exception, match="cannot run"):
        session.run(None, {"x": np.zeros((1, 3), np.float32)})
    with pytest.raises(Exception, match="cannot load"):
        onnx.load(b"not a model")


def test_digest_is_that_of_the_bytes(store: CountingStore) -> None:
    body = linear([[1.0], [0.0]])
    assert registry.get(Log(store), "m").versions[1].model == hashlib.sha256(body).hexdigest()


def test_prefetched_models_answer_at_once(store: CountingStore) -> None:
    models = make(store)
    models.prefetch(["m", "nobody"])
    store.reads.clear()
    assert run(models) == 1.0
    assert store.reads == []


def test_after_a_sleep_the_registry_is_asked_anew(store: CountingStore) -> None:
    models = make(store, clock=Clock())
    assert run(models) == 1.0
    aliases.move(Log(store), "m", "production", Target(version=2), Change(by="op"))
    assert run(models) == 1.0
    models.forget()
    assert run(models) == 2.0


def test_versions_of_the_same_bytes_are_told_apart_by_their_manifests(store: CountingStore) -> None:
    """The same weights with other labels, steps or constraints are another version: it answers as it says itself."""
    weights = linear([[7.0], [0.0]])
    for card in ("first", "second"):
        described = Manifest(
            name="same", card=card, inputs=[Tensor("x", "FP32", [-1, 2])], outputs=[Tensor("y", "FP32", [-1, 1])]
        )
        digest = blobs.write(store, weights)
        version = Version(
            version=0,
            task="tensor",
            manifest=blobs.write(store, manifest.encode(described)),
            source=digest,
            model=digest,
            size=len(weights),
            upload=f"upload-{card}",
        )
        versions.register(Log(store), "same", version, Change(by="test"))
    models = make(store)
    for _ in range(2):
        assert [models.load("same", number).manifest.card for number in ("1", "2")] == ["first", "second"]
