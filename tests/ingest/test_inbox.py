"""The inbox: an object is one upload, whichever clock its times are of, and whatever copy of the bucket it is in."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import quote_plus

import msgspec
import pytest

from shared.config import Config
from shared.ingest import arrivals, candidate, pipeline
from shared.ingest.verdict import Limits
from shared.registry.log import Log
from shared.storage.base import ObjectInfo, list_all
from shared.storage.memory import MemoryStore
from shared.uploads import attempts, forms, listing, states
from tests.failing import Crash, FailingStore, crash_at
from tests.proofs.conftest import checked_once
from tests.proofs.stores import age, copy_of
from tests.support import linear

CONFIG = Config(bucket="unused")
BODY = linear([[1.0], [0.0]])


class CoarseHeads(MemoryStore):
    """HEAD answers whole seconds, as HTTP's header has them; LIST milliseconds, and the ETag without its quotes."""

    def head(self, key: str) -> ObjectInfo:
        info = super().head(key)
        return msgspec.structs.replace(info, modified=float(int(info.modified)), etag=info.etag.strip('"'))


def dropped(log: Log, key: str) -> Any:
    return pipeline.on_object(log, CONFIG, key, {"principal": "s3:someone"}, Limits())


def look(log: Log) -> list[forms.Upload]:
    return pipeline.check_unfinished(log, CONFIG, Limits())


def test_the_event_and_the_look_mean_the_same_upload() -> None:
    store = CoarseHeads()
    log = Log(store)
    store.put("inbox/m/x.onnx", BODY)
    assert dropped(log, "inbox/m/x.onnx").state == "registered"
    age(store, "", 3600.123)
    assert look(log) == []
    assert (log.read("m").latest, len(listing.of_model(store, "m")[0])) == (1, 1)


def test_a_bucket_restored_from_a_copy_registers_nothing_anew() -> None:
    """Objects have other times there, and what expires was not copied."""
    log = Log(MemoryStore())
    for name in ("x", "y"):
        log.store.put(f"inbox/m/{name}.onnx", BODY)
        dropped(log, f"inbox/m/{name}.onnx")
    restored = Log(copy_of(log.store, without="/ticket.json"))  # type: ignore[arg-type]
    assert len(restored.store.list_page("uploads/").objects) == 0
    age(restored.store, "", 86400)  # type: ignore[arg-type]
    before = restored.read("m")
    for name in ("x", "y"):
        assert dropped(restored, f"inbox/m/{name}.onnx").state == "registered"
    look(restored)
    assert restored.read("m").revision == before.revision == 2
    assert len(listing.of_model(restored.store, "m")[0]) == 2
    assert restored.store.list_page("unfinished/").objects == []


def test_a_copy_with_other_etags_registers_nothing_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy in parts has another ETag: content and key decide."""
    log = Log(MemoryStore())
    log.store.put("inbox/m/x.onnx", BODY)
    assert dropped(log, "inbox/m/x.onnx").version == 1
    stored = log.store._objects["inbox/m/x.onnx"]  # type: ignore[attr-defined]
    log.store._objects["inbox/m/x.onnx"] = stored.__class__(stored.body, '"another-2"', stored.modified, "v9")  # type: ignore[attr-defined]
    again = dropped(log, "inbox/m/x.onnx")
    assert (again.state, again.version, log.read("m").latest) == ("registered", 1, 1)
    assert len(listing.of_model(log.store, "m")[0]) == 2


def test_another_content_and_another_name_are_versions() -> None:
    log = Log(MemoryStore())
    for key, body in (("x", BODY), ("x", linear([[2.0], [0.0]])), ("y", BODY)):
        log.store.put(f"inbox/m/{key}.onnx", body)
        assert dropped(log, f"inbox/m/{key}.onnx").state == "registered"
    assert log.read("m").latest == 3


@pytest.mark.parametrize(
    ("key", "model", "code"),
    [
        ("inbox/x.onnx", "", "no_folder"),
        ("inbox/x y.zip", "", "bad_model_name"),
        ("inbox/..m/x.onnx", "", "bad_model_name"),
        ("inbox/m/folder/x.onnx", "m", "sub_folder"),
        ("inbox/m/.DS_Store", "m", "bad_file_name"),
        ("inbox/m/tökenizer.json", "m", "bad_file_name"),
        ("inbox/m/package.7z", "m", "bad_archive"),
    ],
)
def test_what_can_be_no_package_is_an_upload_that_is_rejected_once(
    key: str, model: str, code: str, capsys: pytest.CaptureFixture
) -> None:
    store = MemoryStore()
    log = Log(store)
    store.put(key, BODY)
    upload = dropped(log, quote_plus(key))
    assert (upload.state, upload.model, upload.code, upload.inbox_key) == ("rejected", model, code, key)
    assert repr(key) in upload.reason, "it says which object, and what to do"
    [line] = [json.loads(text) for text in capsys.readouterr().out.splitlines() if "InboxRefused" in text]
    assert line["InboxRefused"] == 1
    assert dropped(log, quote_plus(key)) == upload, "its event came twice"
    age(store, "", 3600)
    assert look(log) == []
    assert states.read(store, upload.upload_id) == upload
    assert dropped(log, "inbox/m/") is None, "a console's folder is nothing"
    assert "InboxRefused" not in capsys.readouterr().out


def test_a_look_refuses_what_no_event_told_of_and_no_second_time() -> None:
    store = MemoryStore()
    for key in ("inbox/x.onnx", "inbox/m/folder/x.onnx"):
        store.put(key, BODY)
    age(store, "", 3600)
    look(Log(store))
    before = {info.key: info.etag for info in list_all(store, "")}
    look(Log(store))
    assert {info.key: info.etag for info in list_all(store, "")} == before
    assert [one.code for one in listing.of_model(store, "m")[0]] == ["sub_folder"]
    assert sum(key.endswith("/state.json") for key in before) == 1


def test_a_file_removed_before_its_check_ends_the_upload() -> None:
    log = Log(MemoryStore())
    log.store.put("inbox/m/x.onnx", BODY)
    age(log.store, "", 3600)  # type: ignore[arg-type]
    arrivals.overlooked(log.store, 900, time.time())
    log.store.delete("inbox/m/x.onnx")
    age(log.store, "", 2 * 86400)  # type: ignore[arg-type]
    [upload] = look(log)
    assert (upload.state, upload.code) == ("expired", "files_missing")


@pytest.mark.parametrize("after", [False, True])
def test_a_look_that_dies_at_any_call_loses_no_object(after: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its event was lost: nobody but the looks will ever hear of it, and one that has opened its session has died."""
    monkeypatch.setattr(candidate, "check_model", checked_once({}))
    number, died = 0, True
    while died:
        number, store = number + 1, MemoryStore()
        store.put("inbox/m/x.onnx", BODY)
        age(store, "", 3600)
        failing = FailingStore(store, crash_at(number, after=after))
        try:
            look(Log(failing))
            died = False
        except Crash:
            pass
        for _ in range(3):
            age(store, "", 3600)
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(attempts, "leased", lambda upload: False)  # the lease of the one that died is over
                look(Log(store))
        [upload] = listing.of_model(store, "m")[0]
        assert (upload.state, Log(store).read("m").latest) == ("registered", 1), f"it died at call {number}"
    assert number > 15
