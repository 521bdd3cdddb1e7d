"""The daily look: what is wrong with one upload keeps no other, and no version, from being looked at."""

from __future__ import annotations

from typing import Any

import pytest

from functions.ingest import app as ingest
from shared import keys
from shared.errors import Unavailable
from shared.registry.log import Log
from shared.storage.memory import MemoryStore
from shared.uploads import unfinished

DAMAGED = "01900000000-0123456789abcdef"


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    store = MemoryStore()
    log = Log(store)
    monkeypatch.setenv("BUCKET", "unused")
    monkeypatch.setattr(ingest, "log", lambda: log)
    ingest.config.cache_clear()
    return store


@pytest.fixture
def rechecks(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    calls: list[Any] = []
    monkeypatch.setattr(ingest, "_recheck", lambda context: calls.append(context) or [])
    return calls


@pytest.mark.parametrize("body", [b"{", b"\xff", b'{"format": 1}', b"[]"])
def test_a_damaged_session_is_passed_over(store: MemoryStore, rechecks: list[Any], body: bytes) -> None:
    store.put(keys.upload_session(DAMAGED), body)
    assert unfinished.mark_again(store) == 0
    assert "handled" in ingest.handler({}, None)
    assert len(rechecks) == 1


def test_a_part_that_fails_keeps_no_other_from_its_work(
    store: MemoryStore, rechecks: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise Unavailable("the store does not answer")

    monkeypatch.setattr(unfinished, "mark_again", away)
    with pytest.raises(Unavailable):
        ingest.handler({}, None)
    assert len(rechecks) == 1
