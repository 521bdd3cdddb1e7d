"""Redriving what failed, and deleting what was sent, over HTTP."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from functions.ingest import app as ingest
from functions.upload import app as upload
from shared.errors import Unavailable
from shared.ingest import pipeline
from shared.storage.memory import MemoryStore
from shared.uploads import attempts, forms, listing, states
from shared.uploads.redrive import Letter
from tests.proofs.stores import age, keys_of
from tests.support import call, linear, s3_event

BODY = linear([[1.0], [0.0]])


class Letters:
    """A queue that holds each message until it is removed; received ones come again later only."""

    def __init__(self) -> None:
        self.waiting: list[Letter] = []
        self.removed: list[Letter] = []

    def add(self, payload: Any) -> None:
        body = json.dumps(
            {"version": "1.0", "requestContext": {"condition": "RetriesExhausted"}, "requestPayload": payload}
        )
        self.waiting.append(Letter(str(len(self.waiting)), body))

    def receive(self) -> list[Letter]:
        received, self.waiting = self.waiting[:10], self.waiting[10:]
        return received

    def remove(self, letter: Letter) -> None:
        self.removed.append(letter)


@pytest.fixture
def letters(monkeypatch: pytest.MonkeyPatch) -> Letters:
    queue = Letters()
    monkeypatch.setattr(upload, "failures", lambda: queue)
    return queue


def send(store: MemoryStore, model: str = "m") -> str:
    session = states.open_session(store, model, [forms.File("model.onnx")], "ann")
    store.put(session.keys["model.onnx"], BODY)
    return session.upload_id


def key(identity: str) -> str:
    return f"uploads/{identity}/files/model.onnx"


def fail(identity: str, times: int = attempts.MAX_ATTEMPTS) -> None:
    """Each check of it is interrupted."""

    def interrupted(*_: Any) -> Any:
        raise Unavailable("the key does not answer")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pipeline, "_register", interrupted)
        for _ in range(times):
            try:
                ingest.handler(s3_event(key(identity)), None)
            except Unavailable:
                continue


def redrive(**body: Any) -> Any:
    answer = call(upload.handler, "POST", "/uploads/redrive", body)
    assert answer.status == 200, answer.json
    return answer.json


def look(store: MemoryStore) -> list[str]:
    age(store, "uploads/", 3600)
    return [one["state"] for one in ingest.handler({"look": "uploads"}, None)["handled"]]


def test_what_the_queue_names_is_checked_again(store: MemoryStore, letters: Letters) -> None:
    failed, unfinished, done = (send(store, model) for model in "abc")
    fail(failed)
    fail(unfinished, 3)
    ingest.handler(s3_event(key(done)), None)
    for identity in (failed, unfinished, done):
        letters.add(s3_event(key(identity)))
    assert states.read(store, failed).state == "failed"
    outcomes = redrive()
    assert [(one["upload_id"], one["outcome"]) for one in outcomes["uploads"]] == [
        (failed, "reopened"),
        (unfinished, "reopened"),
        (done, "ended"),
    ]
    assert outcomes["more"] is False and len(letters.removed) == 3
    assert states.read(store, failed).attempts == 0
    assert look(store) == ["registered", "registered"]
    assert states.read(store, failed).version == 1
    assert keys_of(store, "unfinished/") == set()


def test_a_message_that_names_no_upload_is_removed(store: MemoryStore, letters: Letters) -> None:
    letters.add({"look": "uploads"})
    letters.add(s3_event("uploads/0123456789a-0000000000000001/files/model.onnx"))
    letters.add(s3_event("elsewhere"))
    letters.add(s3_event("inbox/m/gone.onnx"))
    letters.waiting.append(Letter("4", "no JSON"))
    assert [one["outcome"] for one in redrive()["uploads"]] == ["no upload", "gone", "no upload", "gone", "no upload"]
    assert len(letters.removed) == 5


def test_an_inbox_object_is_redriven(store: MemoryStore, letters: Letters) -> None:
    store.put("inbox/m/x.onnx", BODY)
    letters.add(s3_event("inbox/m/x.onnx"))
    assert [one["outcome"] for one in redrive()["uploads"]] == ["reopened"]
    age(store, "inbox/", 3600)
    assert look(store) == ["registered"]


def test_a_folder_and_an_archive_of_the_inbox_are_redriven_as_packages(store: MemoryStore, letters: Letters) -> None:
    for name in ("inbox/m/model.onnx", "inbox/m/amaas.json", "inbox/n.zip", "inbox/lost.onnx"):
        store.put(name, b"{}" if name.endswith("json") else BODY)
        letters.add(s3_event(name))
    outcomes = [(one["outcome"], one.get("model")) for one in redrive()["uploads"]]
    assert outcomes == [("reopened", "m"), ("reopened", "m"), ("reopened", "n"), ("no upload", None)]
    age(store, "inbox/", 3600)
    assert sorted(look(store)) == ["registered", "rejected"]
    assert [len(one.files) for one in listing.of_model(store, "m")[0]] == [2]


def test_a_redriven_upload_that_fails_again_is_failed_again_and_not_redriven_twice(
    store: MemoryStore, letters: Letters, capsys: pytest.CaptureFixture
) -> None:
    identity = send(store)
    fail(identity)
    letters.add(s3_event(key(identity)))
    redrive()
    fail(identity)
    assert states.read(store, identity).state == "failed"
    assert redrive()["uploads"] == []
    assert capsys.readouterr().out.count('"UploadsFailed":1') == 2, "the alarm rings again"


def test_by_id_without_a_message(store: MemoryStore) -> None:
    identity = send(store)
    fail(identity)
    assert [one["outcome"] for one in redrive(uploads=[identity])["uploads"]] == ["reopened"]
    assert look(store) == ["registered"]
    assert call(upload.handler, "POST", "/uploads/redrive", {"uploads": ["0123456789a-0000000000000001"]}).status == 404


def test_a_message_stays_while_the_store_is_away(
    store: MemoryStore, letters: Letters, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = send(store)
    letters.add(s3_event(key(identity)))

    def away(*_: Any) -> Any:
        raise Unavailable("the store does not answer; try again")

    monkeypatch.setattr(states, "reopen", away)
    assert call(upload.handler, "POST", "/uploads/redrive", {}).status == 503
    assert letters.removed == []


def test_only_an_admin_redrives_and_without_a_queue_ids_are_needed(store: MemoryStore) -> None:
    assert call(upload.handler, "POST", "/uploads/redrive", {}, scopes="write read infer").status == 403
    answer = call(upload.handler, "POST", "/uploads/redrive", {})
    assert answer.status == 501 and "ids" in answer.json["error"]


# ---- deletion


def test_an_uploads_files_are_deleted_at_once_with_a_receipt(
    store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="shared")
    identity = send(store)
    ingest.handler(s3_event(key(identity)), None)
    answer = call(upload.handler, "DELETE", f"/uploads/{identity}", scopes="write:m")
    assert answer.status == 200
    receipt = answer.json["deletion"]
    assert (receipt["by"], receipt["objects"], receipt["versions"], receipt["bytes"]) == ("tester", 1, 1, len(BODY))
    assert (answer.json["state"], answer.json["version"]) == ("registered", 1)
    assert keys_of(store, "uploads/") == set()
    [listed] = call(upload.handler, "GET", "/models/m/uploads").json["uploads"]
    assert listed["deletion"] == receipt
    [line] = [record for record in caplog.records if record.getMessage() == "deleted"]
    assert (line.upload, line.model, line.by, line.objects, line.bytes) == (identity, "m", "tester", 1, len(BODY))
    assert call(upload.handler, "DELETE", f"/uploads/{identity}").status == 404


def test_an_unchecked_upload_is_deleted_and_never_checked(store: MemoryStore) -> None:
    identity = send(store)
    answer = call(upload.handler, "DELETE", f"/uploads/{identity}")
    assert (answer.json["state"], answer.json["code"]) == ("expired", "deleted")
    assert ingest.handler(s3_event(key(identity)), None) == {"handled": []}
    assert look(store) == []
    assert keys_of(store, "unfinished/") == set()


def test_an_inbox_object_goes_too_and_its_neighbors_stay(store: MemoryStore) -> None:
    for name in ("x.onnx", "x.onnx2"):
        store.put(f"inbox/m/{name}", BODY)
    ingest.handler(s3_event("inbox/m/x.onnx"), None)
    [listed] = call(upload.handler, "GET", "/models/m/uploads").json["uploads"]
    assert call(upload.handler, "DELETE", f"/uploads/{listed['upload_id']}").json["deletion"]["objects"] == 1
    assert keys_of(store, "inbox/") == {"inbox/m/x.onnx2"}


def test_all_files_of_a_package_of_the_inbox_go(store: MemoryStore) -> None:
    for name, body in (("amaas.json", b"{}"), ("model.onnx", BODY), ("package.zip", b"")):
        store.put(f"inbox/m/{name}", body)
    ingest.handler(s3_event("inbox/m/model.onnx"), None)
    [listed] = call(upload.handler, "GET", "/models/m/uploads").json["uploads"]
    assert call(upload.handler, "DELETE", f"/uploads/{listed['upload_id']}").json["deletion"]["objects"] == 2
    assert keys_of(store, "inbox/") == {"inbox/m/package.zip"}


@pytest.mark.parametrize("scopes", ["read", "write:other", "infer", "promote:m"])
def test_deleting_takes_the_scope_of_the_model(store: MemoryStore, scopes: str) -> None:
    identity = send(store)
    assert call(upload.handler, "DELETE", f"/uploads/{identity}", scopes=scopes).status == 403
    assert key(identity) in keys_of(store)


def test_what_is_being_checked_is_not_deleted(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    identity = send(store)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(attempts, "_process", lambda: "another")
        attempts.begin(store, states.read_session(store, identity))
    answer = call(upload.handler, "DELETE", f"/uploads/{identity}")
    assert answer.status == 409 and "being checked" in answer.json["error"]
    assert key(identity) in keys_of(store)
