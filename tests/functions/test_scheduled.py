"""What runs by schedule: uploads without a verdict are looked for, and unnamed blobs removed."""

from __future__ import annotations

import pytest

from functions.ingest import app as ingest
from functions.sweep import app as sweep
from shared import keys
from shared.ingest import pipeline
from shared.registry import models
from shared.registry.log import Log
from shared.registry.state import Change
from shared.storage.memory import MemoryStore
from shared.uploads import forms, states
from tests.registry.conftest import push
from tests.support import linear


def test_what_no_event_led_to_a_verdict_is_looked_for(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = states.open_session(store, "late", [forms.File("model.onnx")], "ann")
    waiting = states.open_session(store, "waiting", [forms.File("model.onnx")], "ann")
    store.put(ticket.keys["model.onnx"], linear([[1.0], [0.0]]))
    store.put("inbox/dropped/x.onnx", linear([[2.0], [0.0]]))
    nothing = {"handled": [], "rechecked": []}
    assert ingest.handler({"source": "aws.events"}, None) == nothing  # it may be on its way
    monkeypatch.setattr(pipeline, "PATIENCE", -1.0)
    found = ingest.handler({"source": "aws.events"}, None)["handled"]
    assert [(one["state"], one["version"]) for one in found] == [("registered", 1)] * 2
    assert ingest.handler({"source": "aws.events"}, None) == nothing
    assert states.read(store, waiting.upload_id).state == "waiting"
    assert models.get(Log(store), "dropped").latest == 1


def test_sweep_removes_what_nothing_names(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    three = Log(store)
    push(three, "m", 3)
    monkeypatch.setattr(sweep, "log", lambda: three)
    store.put(keys.blob("a" * 64), b"orphan")
    assert sweep.handler({}, None)["deleted"] == 0
    models.delete(three, "m", Change(by="ann"))
    monkeypatch.setattr("shared.registry.collect.time.time", lambda: 4e9)
    assert sweep.handler({}, None)["deleted"] == 3
