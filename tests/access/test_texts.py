"""Limits of a token on generated text: places for texts at the same time, and text tokens of a minute."""

from __future__ import annotations

import pytest

from shared.access import texts
from shared.access.limits import Limits
from shared.errors import TooMany
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


def test_a_text_whose_process_died_counts_no_more_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    store, limits = MemoryStore(), Limits(texts=1)
    texts.begin(store, OWNER, "a", limits)
    monkeypatch.setattr(texts, "LONGEST", 0.0)
    assert texts.begin(store, OWNER, "b", limits)


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
