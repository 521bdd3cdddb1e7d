"""GET /uploads: what became of all uploads, for those who may know it."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest

from functions.ingest import app as ingest
from functions.upload import app as upload
from shared import keys
from shared.clock import new_id
from shared.storage.memory import MemoryStore
from shared.uploads import forms, listing, states
from tests.support import call, linear, s3_event

BODY = linear([[1.0], [0.0]])


@pytest.fixture
def put(store: MemoryStore) -> MemoryStore:
    """Two models, and an object of none."""
    for name in ("inbox/a/x.onnx", "inbox/x.onnx", "inbox/b/deep/x.onnx"):
        store.put(name, BODY)
        ingest.handler(s3_event(name), None)
        time.sleep(0.002)
    return store


def recent_uploads(scopes: str = "read", **query: str) -> dict[str, Any]:
    answer = call(upload.handler, "GET", "/uploads", query=query, scopes=scopes)
    assert answer.status == 200, answer.json
    return dict(answer.json)


def test_uploads_of_all_models_and_of_none(put: MemoryStore) -> None:
    listed = {one["model"]: one for one in recent_uploads()["uploads"]}
    assert {model: one["state"] for model, one in listed.items()} == {
        "a": "registered",
        "": "rejected",
        "b": "rejected",
    }
    assert listed[""]["code"] == "no_folder" and "inbox/x.onnx" in listed[""]["reason"]
    assert listed[""]["files"] == [{"name": "x.onnx"}]
    assert call(upload.handler, "GET", f"/uploads/{listed['']['upload_id']}").json == listed[""]


@pytest.mark.parametrize(
    ("scopes", "models"),
    [("read", {"a", "b", ""}), ("read:a", {"a"}), ("read:*", {"a", "b", ""}), ("read:c", set()), ("read:a*", {"a"})],
)
def test_only_what_the_token_may_read(put: MemoryStore, scopes: str, models: set[str]) -> None:
    assert {one["model"] for one in recent_uploads(scopes)["uploads"]} == models
    of_none = next(one["upload_id"] for one in recent_uploads()["uploads"] if not one["model"])
    expected = 200 if "" in models else 403
    assert call(upload.handler, "GET", f"/uploads/{of_none}", scopes=scopes).status == expected


def test_pages_have_each_upload_once_newest_first(store: MemoryStore) -> None:
    ids = [states.open_session(store, f"m{n % 3}", [forms.File("model.onnx")], "ann").upload_id for n in range(25)]
    for limit in (1, 4, 25, 100):
        found, cursor, pages = [], None, 0
        while pages == 0 or cursor:
            page = recent_uploads(limit=str(limit), **({"next": cursor} if cursor else {}))
            found += [one["upload_id"] for one in page["uploads"]]
            cursor, pages = page["next"], pages + 1
        assert found == sorted(ids, reverse=True)


def test_uploads_of_training_jobs_are_in_their_time(store: MemoryStore) -> None:
    given = [new_id(n) if n % 2 else f"training-{new_id(n)}" for n in range(6)]
    for one in ("by-hand-0", *given):
        states.open_session(store, "m", [forms.File("model.onnx")], "ann", one)
    for path in ("/uploads", "/models/m/uploads"):
        found, cursor = [], None
        while not found or cursor:
            query = {"limit": "2", **({"next": cursor} if cursor else {})}
            page = call(upload.handler, "GET", path, query=query).json
            found += [one["upload_id"] for one in page["uploads"]]
            cursor = page["next"]
        assert found == [*given[::-1], "by-hand-0"]


def test_a_page_of_others_uploads_ends_and_says_where_to_go_on(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "SCANNED", 10)
    for number in range(25):
        states.open_session(store, "theirs" if number else "own", [forms.File("model.onnx")], "ann", new_id(number))
    found: list[str] = []
    cursor, pages = None, 0
    while pages == 0 or cursor:
        page = recent_uploads("read:own", limit="10", **({"next": cursor} if cursor else {}))
        found += [one["model"] for one in page["uploads"]]
        cursor, pages = page["next"], pages + 1
    assert (found, pages) == (["own"], 3)


def test_what_a_container_forges_and_what_is_damaged_hides_nothing(put: MemoryStore) -> None:
    """A container may write any object of its upload: a session of no model, a state, a name that is none."""
    for number, model in enumerate(("", "../a", "a")):
        forged = f"training-0190a0b0c0{number}-0011223344556677"
        session = forms.UploadSession(
            upload_id=forged, model=model, by="x", created_at="", files=[forms.File("x")], keys={"x": "x"}
        )
        put.put(f"uploads/{forged}/ticket.json", msgspec.json.encode(session))
        put.put(f"uploads/{forged}/state.json", b"{}")
    put.put(keys.upload_session(new_id()), b"no JSON")
    put.put("uploads/odd name/ticket.json", b"{}")
    assert {one["model"] for one in recent_uploads()["uploads"]} == {"a", "", "b"}


def test_an_object_of_no_model_is_deleted_by_who_may_write_all(put: MemoryStore) -> None:
    [of_none] = [one["upload_id"] for one in recent_uploads()["uploads"] if not one["model"]]
    assert call(upload.handler, "DELETE", f"/uploads/{of_none}", scopes="write:a read").status == 403
    answer = call(upload.handler, "DELETE", f"/uploads/{of_none}", scopes="write")
    assert answer.status == 200 and answer.json["deletion"]["objects"] == 1
    assert [info.key for info in put.list_page("inbox/").objects] == ["inbox/a/x.onnx", "inbox/b/deep/x.onnx"]
