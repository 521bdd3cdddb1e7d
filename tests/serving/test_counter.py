"""What is counted of calls: by which key, of which members; nothing while the caller waits."""

from __future__ import annotations

import time

import numpy as np
import pytest
from msgspec.structs import replace

from shared import keys
from shared.counts import forms
from shared.counts.counts import PHASES, Counts, Key
from shared.errors import BadInput, Unavailable
from shared.package.manifest import Manifest
from shared.registry.state import Alias, Head
from shared.serving import counter as counters
from shared.serving import counting
from shared.serving.counter import Counter
from shared.serving.loaded import Loaded, Resolved
from shared.serving.observe import Call, FailedLoad
from shared.storage.memory import MemoryStore
from tests.serving import packages
from tests.support import linear

LOADED = replace(packages.loaded(linear([[1.0, 2.0]])), alias="production", since=4, resolve_ns=10, load_ns=2000)
KEY = Key("m", 7, "production", 4)


def written(store: MemoryStore) -> dict[Key, Counts]:
    found: dict[Key, Counts] = {}
    for info in store.list_page(keys.STATS_RAW).objects:
        for row in forms.unpack(forms.RAW, store.get(info.key).body, info.key).rows:
            found.setdefault(row.key, Counts()).add(row.counts)
    return found


def test_a_call_is_counted_by_version_alias_and_its_revision() -> None:
    store = MemoryStore()
    counter = Counter(lambda: store, ready_ns=3_000_000, afterwards=True, memory_mb=lambda: 512)
    counter.observe(
        Call(loaded=LOADED, route="infer", input_ns=5010, infer_ns=1_200_000, output_ns=300, bytes_in=7, bytes_out=9)
    )
    counter.observe(Call(loaded=replace(LOADED, fresh=True), route="predict", runs=2, infer_ns=1))
    counter.observe(Call(loaded=LOADED, route="predict", error=BadInput("no image"), input_ns=7))
    counter.observe(Call(loaded=LOADED, route="predict", error=KeyError("secret"), input_ns=7))
    counter.work(30.0)
    [(key, counts)] = written(store).items()
    assert key == KEY
    assert (counts.requests, counts.client_errors, counts.server_errors) == (4, 1, 1)
    assert counts.errors == {"BadInput": 1, "InternalError": 1}
    assert counts.routes == {"infer": 1, "predict": 3}
    assert (counts.cold, counts.cold_ms, counts.loads) == (1, 3, 1)
    assert (counts.bytes_in, counts.bytes_out) == (7, 9)
    assert counts.billed_ms == 2 + 1 + 1 + 1
    assert (counts.billed_by_mb, counts.cold_by_mb) == ({"512": counts.billed_ms}, {"512": 3})
    assert set(counts.latency) == set(PHASES)
    assert {phase: sum(bins.values()) for phase, bins in counts.latency.items()} == dict.fromkeys(PHASES, 2) | {
        "total": 4
    }
    assert counts.ns["pre"] == 3000 + (0 - 2010)
    assert counts.ns["run"] == 1_200_001


def test_a_version_that_cannot_be_loaded_has_failed() -> None:
    store = MemoryStore()
    counter = Counter(lambda: store, afterwards=True)
    head = Head(model="m", aliases={"production": Alias(version=7, since=4)})
    resolved = Resolved.of(head, LOADED.version, None)
    counter.observe(FailedLoad(resolved=resolved, route="infer", error=Unavailable("no memory"), ns=5))
    counter.work(30.0)
    [(key, counts)] = written(store).items()
    assert key == KEY
    assert (counts.requests, counts.server_errors, counts.errors) == (1, 1, {"Unavailable": 1})


def test_nothing_is_counted_or_imported_before_the_answer() -> None:
    counter = Counter(lambda: pytest.fail("the store was asked for"), afterwards=True)
    counter.observe(Call(loaded=LOADED, route="infer"))
    assert counter._unwritten is None


def test_what_waits_is_bounded() -> None:
    counter = Counter(MemoryStore, afterwards=True)
    for _ in range(5 * counters.WAITING + 3):
        counter.observe(Call(loaded=LOADED, route="infer"))
        assert len(counter._waiting) < counters.WAITING


def test_no_large_tensor_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Counter, "_start", lambda self: None)
    counter = Counter(MemoryStore, afterwards=False)
    large = np.zeros(2 << 20, np.float32)
    counter.observe(Call(loaded=LOADED, route="infer", answer=[large], repeat=lambda other: large))
    [(_, waiting)] = counter._waiting
    assert isinstance(waiting, Call) and waiting.answer is None and waiting.repeat is None
    counter.observe(Call(loaded=LOADED, route="infer", inputs={"x": large}))
    assert not counter._waiting


def test_elsewhere_a_thread_counts_and_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "TICK", 0.01)
    store = MemoryStore()
    counter = Counter(lambda: store)
    counter.observe(Call(loaded=LOADED, route="infer"))
    until = time.monotonic() + 60
    while not written(store) and time.monotonic() < until:
        time.sleep(0.01)
    assert written(store)[KEY].requests == 1


def test_with_no_time_left_it_is_written_later() -> None:
    store = MemoryStore()
    counter = Counter(lambda: store, afterwards=True)
    counter.observe(Call(loaded=LOADED, route="infer"))
    counter.work(0.5)
    assert written(store) == {}
    counter.finish()
    assert written(store)[KEY].requests == 1


def test_what_became_of_a_shadow_is_of_the_version_that_answered() -> None:
    store = MemoryStore()
    counter = Counter(lambda: store, afterwards=True)
    for outcome in ("compared", "different", "different"):
        counter.shadowed(Call(loaded=LOADED, route="infer"), outcome)
    counter.finish()
    assert written(store)[KEY].shadow == {"compared": 1, "different": 2}


def answered(*scores: float, label: str = "cat") -> dict:
    return {"results": [{"predictions": [{"label": label, "score": score}]} for score in scores]}


def test_best_labels_and_their_scores_are_counted_and_rare_labels_together() -> None:
    labels = [f"label {n}" for n in range(100)]
    reference = {"scores": {"labels": {"label 99": 50}}}
    loaded = replace(LOADED, manifest=Manifest(labels=labels, reference=reference), parts={})

    def counted(answer: object) -> Counts:
        return counting.of_call(Call(loaded=loaded, route="predict", answer=answer))

    counts = counted(answered(0.0, 0.049, 0.05, 0.999, 1.0, label="label 99"))
    assert counts.scores == {0: 2, 1: 1, 19: 2}
    assert counts.labels == {"label 99": 5}
    assert counted(answered(0.5, label="label 62")).labels == {"label 62": 1}
    assert counted(answered(0.5, label="label 63")).labels == {"other": 1}
    for odd in (np.zeros(3), {"predictions": []}, {"value": 3}, {"results": [None]}, b"png"):
        assert counted(odd).scores == {}
    assert counting.of_call(Call(loaded=loaded, route="explain", answer=answered(0.5))).scores == {}


def test_inputs_of_a_batch_are_calls_of_their_version() -> None:
    store = MemoryStore()
    counter = Counter(lambda: store, afterwards=True)
    numbered = replace(LOADED, alias="", since=0, fresh=True)
    feeds = {"x": np.array([[1.0]], np.float32)}

    def compute(loaded: Loaded) -> dict:
        return {"y": loaded.session.run(None, feeds)[0].tolist()}

    def refuse(loaded: Loaded) -> dict:
        raise BadInput("no row")

    for _ in range(40):
        assert counters.counted(counter, numbered, b"[1]", compute) == {"y": [[1.0, 2.0]]}
    with pytest.raises(BadInput):
        counters.counted(counter, numbered, b"[]", refuse)
    counter.finish()
    [(key, counts)] = written(store).items()
    assert key == Key("m", 7)
    assert (counts.requests, counts.runs, counts.client_errors, counts.loads) == (41, 40, 1, 0)
    assert (counts.routes, counts.bytes_in) == ({"batch": 41}, 122)
    assert counts.ns["run"] > 0


def test_a_call_that_cannot_be_counted_whole_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a stranger's package says: of a version whose calls are not counted, no canary is ever rolled back."""

    def fail(*_: object) -> None:
        raise RuntimeError("no answer that anybody thought of")

    monkeypatch.setattr(counting, "_count_predictions", fail)
    store = MemoryStore()
    counter = Counter(lambda: store, afterwards=True)
    counter.observe(Call(loaded=LOADED, route="predict", answer={}, input_ns=5, bytes_in=3))
    counter.observe(Call(loaded=LOADED, route="predict", answer={}, input_ns=5))
    counter.work(30.0)
    [(_, counts)] = written(store).items()
    assert (counts.requests, counts.bytes_in, counts.routes) == (2, 3, {"predict": 2})
