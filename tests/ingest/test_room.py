"""Sizes are compared before anything is downloaded: with the limits, and with the disk."""

from __future__ import annotations

import shutil
from collections import namedtuple

import pytest

from shared.config import Config
from shared.errors import Unavailable
from shared.ingest import pipeline
from shared.ingest.verdict import Limits
from shared.registry.log import Log
from shared.storage.memory import MemoryStore
from shared.uploads import attempts, forms, states
from tests.support import linear

CONFIG = Config(bucket="unused")
BODY = linear([[1.0], [0.0]])
Usage = namedtuple("Usage", "total used free")


class NoDownloads(MemoryStore):
    def download(self, key: str, path: str) -> str:
        raise AssertionError("it was downloaded all the same")


def sent(store: MemoryStore, **files: bytes) -> forms.UploadSession:
    session = states.open_session(store, "m", [forms.File(name) for name in files], "ann")
    for name, body in files.items():
        store.put(session.keys[name], body)
    return session


def test_files_that_are_too_large_together_are_rejected() -> None:
    store = NoDownloads()
    session = sent(store, **{"model.onnx": BODY, "a.bin": bytes(600), "b.bin": bytes(600)})
    limits = Limits(model_bytes=1000, golden_bytes=100)
    config = Config(bucket="unused", max_upload_bytes=600)  # and 1,200 of a package
    upload = pipeline.ingest(Log(store), config, session, limits)
    assert (upload.state, upload.code) == ("rejected", "too_large")
    assert "1,200" in str(upload.reason) and "together" in str(upload.reason)


def test_one_file_over_the_deployments_limit_is_rejected() -> None:
    store = NoDownloads()
    session = sent(store, **{"model.onnx": bytes(2000)})
    upload = pipeline.ingest(Log(store), Config(bucket="unused", max_upload_bytes=1000), session, Limits())
    assert (upload.state, upload.code) == ("rejected", "too_large")


def test_what_the_disk_can_never_hold_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1000, 0, 1000))
    store = NoDownloads()
    session = sent(store, **{"model.onnx": bytes(2000)})
    upload = pipeline.ingest(Log(store), CONFIG, session, Limits())
    assert (upload.state, upload.code) == ("rejected", "too_large")


def test_what_does_not_fit_now_waits_for_room_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    store = NoDownloads()
    session = sent(store, **{"model.onnx": BODY})
    with monkeypatch.context() as full:
        full.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9, 10))
        for attempt in range(1, attempts.MAX_ATTEMPTS):
            with pytest.raises(Unavailable, match="room"):
                pipeline.ingest(Log(store), CONFIG, session, Limits())
            upload = states.read(store, session.upload_id)
            assert (upload.state, upload.attempts, upload.code) == ("checking", attempt, "interrupted")
        ended = pipeline.ingest(Log(store), CONFIG, session, Limits())
    assert (ended.state, ended.code) == ("failed", "interrupted")
    assert pipeline.ingest(Log(store), CONFIG, session, Limits()) == ended


def test_a_disk_that_has_room_again(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    session = sent(store, **{"model.onnx": BODY})
    with monkeypatch.context() as full:
        full.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9, 10))
        with pytest.raises(Unavailable):
            pipeline.ingest(Log(store), CONFIG, session, Limits())
    assert pipeline.ingest(Log(store), CONFIG, session, Limits()).state == "registered"


def test_a_file_that_goes_before_it_is_read_ends_the_upload() -> None:
    store = NoDownloads()
    session = sent(store, **{"model.onnx": BODY, "amaas.json": b"{}"})
    store.delete(session.keys["amaas.json"])
    upload = pipeline.ingest(Log(store), CONFIG, session, Limits())
    assert (upload.state, upload.code, upload.attempts) == ("expired", "files_gone", 1)
    assert "push again" in str(upload.reason)
