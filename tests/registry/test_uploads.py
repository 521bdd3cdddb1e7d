"""The life of an upload: one session, and a state that never leaves a final one."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from shared import keys
from shared.errors import BadInput, NotFound
from shared.storage.base import ObjectInfo
from shared.storage.memory import MemoryStore
from shared.uploads import forms, inbox, listing, states
from shared.uploads.forms import UploadSession
from shared.uploads.inbox_packages import Package
from tests.failing import Call, FailingStore, Fault


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def open_session(store: MemoryStore, *names: str) -> forms.UploadSession:
    return states.open_session(store, "m", [forms.File(n) for n in names or ("model.onnx",)], by="ann")


def test_waits_until_every_file_is_there(store: MemoryStore) -> None:
    opened = open_session(store, "model.onnx", "amaas.json")
    assert states.read(store, opened.upload_id).state == "waiting"
    assert states.missing_files(store, opened) == ["model.onnx", "amaas.json"]
    store.put(opened.keys["amaas.json"], b"{}")
    assert states.missing_files(store, opened) == ["model.onnx"]
    store.put(opened.keys["model.onnx"], b"x")
    assert states.missing_files(store, opened) == []


def test_a_final_state_is_never_left(store: MemoryStore) -> None:
    opened = open_session(store)
    states.advance(store, opened, "checking")
    states.advance(store, opened, "registered", version=4)
    assert states.advance(store, opened, "checking").state == "registered"
    assert states.advance(store, opened, "rejected", reason="late").version == 4


def test_inbox_events_about_one_object_share_one_upload(store: MemoryStore) -> None:
    key = "inbox/m/x.onnx"

    def opened(tag: str, modified: float) -> UploadSession:
        return inbox.open_session(store, Package("m", {"model.onnx": ObjectInfo(key, 9, tag, modified)}), "s3:someone")

    first = opened('"etag"', 1700000000.0)
    again = opened("etag", 1700000000.123)  # a listing's: other quotes, other clock
    other = opened('"etag2"', 1700000001.0)
    assert first == again
    assert other.upload_id > first.upload_id
    assert len(listing.of_model(store, "m")[0]) == 2


def test_a_session_whose_state_was_never_written_gets_one_when_it_is_opened_again(store: MemoryStore) -> None:
    """Whoever wrote the session died before it wrote the state."""
    opened = open_session(store)
    store.delete(keys.upload_state("m", opened.upload_id))
    later = replace(opened, created_at="2027-01-01T00:00:00.000Z", files=[])
    assert states.write_session(store, later) == opened, "what was announced first"
    assert states.read(store, opened.upload_id).state == "waiting"


def test_an_upload_that_ended_meanwhile_is_not_opened_again(store: MemoryStore) -> None:
    """Two open one session. The slower one wakes when the upload of the faster one has come to its end."""
    opened = open_session(store)
    state = keys.upload_state("m", opened.upload_id)
    store.delete(state)

    def wake_late(call: Call) -> Fault | None:
        if (call.operation, call.key) == ("put", state):
            states.write_session(store, opened)
            states.advance(store, opened, "registered", version=1)
        return None

    states.write_session(FailingStore(store, wake_late), opened)
    assert states.read(store, opened.upload_id).version == 1
    assert not store.list_page("unfinished/").objects, "and it is not looked for any more"


def test_uploads_of_a_model_are_paged_newest_first(store: MemoryStore) -> None:
    opened = [open_session(store).upload_id for _ in range(5)]
    first, following = listing.of_model(store, "m", limit=3)
    rest, end = listing.of_model(store, "m", limit=3, after=following)
    assert [u.upload_id for u in first + rest] == sorted(opened, reverse=True)
    assert end is None


def test_unknown_upload(store: MemoryStore) -> None:
    with pytest.raises(NotFound):
        states.read(store, "0" * 20)
    with pytest.raises(BadInput):
        states.read(store, "../../etc")


@pytest.mark.parametrize(
    ("raw", "parsed"),
    [
        (
            "uploads/0123456789a-0011223344556677/files/my+model.onnx",
            ("0123456789a-0011223344556677", "my model.onnx"),
        ),
        ("uploads/0123456789a-0011223344556677/ticket.json", None),
        ("uploads/0123456789a-0011223344556677/files/a/b", None),
        ("inbox/iris/my+model.onnx", None),
        ("blobs/sha256/00", None),
    ],
)
def test_event_keys(raw: str, parsed: tuple[str, str] | None) -> None:
    assert keys.parse_upload_file(keys.decode_event_key(raw)) == parsed
