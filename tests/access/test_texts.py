"""Limits of a token on generated text: places for texts at the same time, and text tokens of a minute."""

from __future__ import annotations

import time
from typing import Any

import pytest

from shared.access import texts
from shared.access.limits import Limits
from shared.errors import TooMany, Unavailable
from shared.storage.base import list_all
from shared.storage.memory import MemoryStore

OWNER = "0" * 12


class Closed(MemoryStore):
    """Of who must not be asked."""

    def put(self, *arguments: object, **more: object) -> str:
        raise AssertionError("a token without limits costs requests")

    def list_page(self, *arguments: object, **more: object) -> None:  # type: ignore[override]
        raise AssertionError("a token without limits costs requests")


def test_tokens_without_limits_cost_no_request() -> None:
    place = texts.begin(Closed(), OWNER, "a", Limits())
    texts.end(Closed(), OWNER, "a", Limits(), place, 100)


def test_so_many_texts_at_the_same_time() -> None:
    store, limits = MemoryStore(), Limits(texts=2)
    first, second = (texts.begin(store, OWNER, name, limits) for name in "ab")
    with pytest.raises(TooMany, match="limit texts: 2 texts may be generated at the same time"):
        texts.begin(store, OWNER, "c", limits)
    texts.begin(store, "1" * 12, "d", limits)  # another token's
    texts.end(store, OWNER, "a", limits, first, 5)
    assert texts.begin(store, OWNER, "e", limits) and second


class Counting(MemoryStore):
    """requests: what was asked for, by name. down: nothing can be put."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[str] = []
        self.down = False

    def put(self, *arguments: Any, **more: Any) -> str:
        self.requests.append("put")
        if self.down:
            raise Unavailable("the store is down")
        return super().put(*arguments, **more)

    def list_page(self, *arguments: Any, **more: Any) -> Any:
        self.requests.append("list")
        return super().list_page(*arguments, **more)

    def delete(self, *arguments: Any, **more: Any) -> None:
        self.requests.append("delete")
        super().delete(*arguments, **more)


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    now = time.time()
    monkeypatch.setattr(texts.time, "time", lambda: now + seconds)


def test_a_text_whose_process_died_counts_no_more_after_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    store, limits = MemoryStore(), Limits(texts=1)
    monkeypatch.setattr(texts.Place, "hold", lambda place: None)  # its thread is dead, too
    texts.begin(store, OWNER, "a", limits)
    later(monkeypatch, 45)
    with pytest.raises(TooMany):
        texts.begin(store, OWNER, "b", limits)
    later(monkeypatch, 60)
    assert texts.begin(store, OWNER, "b", limits)


def test_a_text_that_goes_on_keeps_its_place_and_gives_it_back_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "RENEWED", 0.02)
    monkeypatch.setattr(texts, "HELD", 0.3)
    store, limits = Counting(), Limits(texts=1)
    place = texts.begin(store, OWNER, "a", limits)
    time.sleep(0.5)
    with pytest.raises(TooMany):
        texts.begin(store, OWNER, "b", limits)
    store.down = True  # for less than HELD
    time.sleep(0.05)
    store.down = False
    texts.end(store, OWNER, "a", limits, place, 0)
    seen = len(store.requests)
    time.sleep(0.1)
    assert len(store.requests) == seen and not list(list_all(store, "limits/")), "nothing is put behind its removal"


def test_a_place_costs_three_requests_and_one_more_for_each_while() -> None:
    store, limits = Counting(), Limits(texts=1)
    texts.end(store, OWNER, "a", limits, texts.begin(store, OWNER, "a", limits), 0)
    assert store.requests == ["put", "list", "delete"]
    assert texts.RENEWED >= 20 and 2 * texts.RENEWED < texts.HELD <= 60


def test_text_tokens_of_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    store, limits = MemoryStore(), Limits(text_tokens=100)
    monkeypatch.setattr(texts.time, "time", lambda: 1000 * 60.0 + 50)
    for name, used in (("a", 60), ("b", 50)):
        texts.end(store, OWNER, name, limits, texts.begin(store, OWNER, name, limits), used)
    with pytest.raises(TooMany, match=r"limit text_tokens: 110 tokens .* may use 100") as refused:
        texts.begin(store, OWNER, "c", limits)
    assert refused.value.retry_after == 11
    monkeypatch.setattr(texts.time, "time", lambda: 1001 * 60.0)
    assert texts.begin(store, OWNER, "c", limits) is None


def test_none_at_all() -> None:
    with pytest.raises(TooMany, match="limit texts: 0"):
        texts.begin(MemoryStore(), OWNER, "a", Limits(texts=0))
    with pytest.raises(TooMany, match="may use 0"):
        texts.begin(MemoryStore(), OWNER, "a", Limits(text_tokens=0))
