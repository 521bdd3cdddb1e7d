"""Storage events that come twice, late, and in any order."""

from __future__ import annotations

import random
from typing import Any

import pytest

from functions.ingest import app as ingest
from functions.upload import app as upload
from shared.registry.log import Log
from shared.storage.memory import MemoryStore
from shared.uploads import listing
from tests.support import call, linear, s3_event


def send(store: MemoryStore) -> list[str]:
    """Two uploads each of two models, one of them of two files, and two files in the inbox; the keys of all objects."""
    found = []
    for model, files in (("a", ["model.onnx"]), ("a", ["model.onnx", "amaas.json"]), ("b", ["model.onnx"])):
        wanted: dict[str, Any] = {"files": [{"name": name, "size": 100} for name in files]}
        ticket = call(upload.handler, "POST", f"/models/{model}/uploads", wanted).json
        for name in files:
            key = f"uploads/{ticket['upload_id']}/files/{name}"
            store.put(key, b'{"licence": "MIT"}' if name == "amaas.json" else linear([[float(len(found))], [0.0]]))
            found.append(key)
    for name in ("one", "two"):
        store.put(f"inbox/c/{name}.onnx", linear([[7.0], [float(len(name))]]))
        found.append(f"inbox/c/{name}.onnx")
    return found


@pytest.mark.parametrize("seed", range(4))
def test_duplicated_reordered_and_replayed_events_are_handled_once(store: MemoryStore, seed: int) -> None:
    events = send(store) * 3
    random.Random(seed).shuffle(events)
    for key in events:
        ingest.handler(s3_event(key), None)
    log = Log(store)
    for model, count in (("a", 2), ("b", 1), ("c", 2)):
        head = log.read(model)
        assert (head.latest, head.revision) == (count, count)
        states = listing.of_model(store, model)[0]
        assert [one.state for one in states] == ["registered"] * count
        assert sorted(one.version or 0 for one in states) == sorted(head.versions)
        assert {v.upload: n for n, v in head.versions.items()} == {one.upload_id: one.version for one in states}


def test_a_look_without_patience_makes_up_for_lost_events_at_once(store: MemoryStore) -> None:
    send(store)
    assert ingest.handler({"detail-type": "Scheduled Event"}, None) == {"handled": [], "rechecked": []}, "on their way"
    look = ingest.handler({"patience": 0}, None)
    assert [one["state"] for one in look["handled"]] == ["registered"] * 5
    assert {model: Log(store).read(model).latest for model in ("a", "b", "c")} == {"a": 2, "b": 1, "c": 2}
    assert ingest.handler({"patience": 0}, None) == {"handled": [], "rechecked": []}
