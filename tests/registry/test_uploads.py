"""The life of an upload: one ticket, and a state that never leaves its end."""

from __future__ import annotations

import pytest

from shared.errors import BadInput, NotFound
from shared.registry import keys, uploads
from shared.storage.memory import MemoryStore


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def ticket(store: MemoryStore, *names: str) -> uploads.Ticket:
    return uploads.open_ticket(store, "m", [uploads.File(n) for n in names or ("model.onnx",)], by="ann")


def test_waits_until_every_file_is_there(store: MemoryStore) -> None:
    opened = ticket(store, "model.onnx", "amaas.json")
    assert uploads.read(store, opened.upload_id).state == "waiting"
    assert uploads.missing(store, opened) == ["model.onnx", "amaas.json"]
    store.put(opened.keys["amaas.json"], b"{}")
    assert uploads.missing(store, opened) == ["model.onnx"]
    store.put(opened.keys["model.onnx"], b"x")
    assert uploads.missing(store, opened) == []


def test_an_end_state_is_never_left(store: MemoryStore) -> None:
    opened = ticket(store)
    uploads.advance(store, opened, "checking")
    uploads.advance(store, opened, "registered", version=4)
    assert uploads.advance(store, opened, "checking").state == "registered"
    assert uploads.advance(store, opened, "rejected", reason="late").version == 4


def test_inbox_events_about_one_object_share_one_upload(store: MemoryStore) -> None:
    key = "inbox/m/x.onnx"
    first = uploads.inbox_ticket(store, "m", key, '"etag"', 1700000000.0, "s3:someone")
    again = uploads.inbox_ticket(store, "m", key, '"etag"', 1700000000.0, "s3:someone")
    other = uploads.inbox_ticket(store, "m", key, '"etag2"', 1700000001.0, "s3:someone")
    assert first == again
    assert other.upload_id > first.upload_id
    assert len(uploads.of_model(store, "m")[0]) == 2


def test_uploads_of_a_model_are_paged_in_order(store: MemoryStore) -> None:
    opened = [ticket(store).upload_id for _ in range(5)]
    first, following = uploads.of_model(store, "m", limit=3)
    rest, end = uploads.of_model(store, "m", limit=3, after=following)
    assert [u.upload_id for u in first + rest] == sorted(opened)
    assert end is None


def test_unknown_upload(store: MemoryStore) -> None:
    with pytest.raises(NotFound):
        uploads.read(store, "0" * 20)
    with pytest.raises(BadInput):
        uploads.read(store, "../../etc")


@pytest.mark.parametrize(
    ("raw", "parsed"),
    [
        (
            "uploads/0123456789a-0011223344556677/files/model.onnx",
            ("upload", "0123456789a-0011223344556677", "model.onnx"),
        ),
        ("uploads/0123456789a-0011223344556677/ticket.json", None),
        ("inbox/iris/my+model.onnx", ("inbox", "iris", "my model.onnx")),
        ("inbox/iris/", None),
        ("inbox/a/b/c.onnx", None),
        ("blobs/sha256/00", None),
    ],
)
def test_event_keys(raw: str, parsed: tuple[str, str, str] | None) -> None:
    assert keys.parse_event_key(raw) == parsed
