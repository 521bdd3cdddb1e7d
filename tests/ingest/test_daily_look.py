"""Looks at uploads without a verdict, and at outdated versions: one that fails does not stop the others."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from shared.config import Config
from shared.ingest import pipeline, recheck
from shared.ingest.verdict import Limits
from shared.registry.log import Log
from shared.storage.memory import MemoryStore
from shared.uploads import forms, states
from tests.registry.conftest import push
from tests.support import linear

CONFIG = Config(bucket="unused")


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.mark.parametrize("error", [ZeroDivisionError("a fault of ours"), MemoryError()])
def test_an_unexpected_error_on_one_upload_leaves_the_others_to_be_checked(
    store: MemoryStore, error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in "abc":
        store.put(f"inbox/{name}/x.onnx", linear([[1.0], [0.0]]))
    check = pipeline.check_package

    def failing(model: str, *rest: Any) -> Any:
        if model == "b":
            raise error
        return check(model, *rest)

    monkeypatch.setattr(pipeline, "check_package", failing)
    ended = pipeline.check_unfinished(Log(store), CONFIG, Limits(), patience=-1.0)
    assert sorted((upload.model, upload.state) for upload in ended) == [("a", "registered"), ("c", "registered")]
    [record] = [record for record in caplog.records if record.getMessage() == "still without a verdict"]
    assert record.levelno == logging.ERROR and record.exc_info is not None
    upload_id = record.upload
    upload = states.read(store, upload_id)
    assert (upload.state, upload.code) == ("checking", "interrupted")
    monkeypatch.undo()
    [upload] = pipeline.check_unfinished(Log(store), CONFIG, Limits(), patience=-1.0)
    assert (upload.upload_id, upload.state) == (upload_id, "registered")


def test_an_unexpected_error_in_one_model_leaves_the_others_to_be_rechecked(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log = Log(store)
    for name in "abc":
        push(log, name)

    def failing(log: Log, model: str, *_: Any) -> recheck.Outcome:
        if model == "b":
            raise ZeroDivisionError("a fault of ours")
        return recheck.Outcome(model, 1)

    monkeypatch.setattr(recheck, "recheck", failing)
    assert [outcome.model for outcome in recheck.check_outdated(log, Limits(), 60)] == ["a", "c"]
    [record] = [record for record in caplog.records if record.getMessage() == "not checked again"]
    assert record.model == "b"
    assert record.levelno == logging.ERROR and record.exc_info is not None


@pytest.mark.parametrize("state", ["waiting", "checking", "interrupted"])
def test_an_upload_that_was_left_in_any_state_gets_its_verdict(store: MemoryStore, state: str) -> None:
    """Its event was lost; the check was killed; the check failed, and said so."""
    session = states.open_session(store, "m", [forms.File("model.onnx")], "ann")
    store.put(session.keys["model.onnx"], linear([[1.0], [0.0]]))
    if state != "waiting":
        code, reason = ("interrupted", "the check was interrupted") if state == "interrupted" else (None, None)
        states.advance(store, session, "checking", code=code, reason=reason)
    [upload] = pipeline.check_unfinished(Log(store), CONFIG, Limits(), patience=-1.0)
    assert (upload.upload_id, upload.state, upload.version) == (session.upload_id, "registered", 1)
    assert pipeline.check_unfinished(Log(store), CONFIG, Limits(), patience=-1.0) == []
